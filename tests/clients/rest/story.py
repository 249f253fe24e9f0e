"""Creates a segment, meets a conflict, confirms, adds a member: with the generated client.

    python story.py URL KEY USER

Prints one JSON value for each step.
"""

import json
import sys
from uuid import UUID

from guidon_client import AuthenticatedClient
from guidon_client.api.contexts import contexts_retrieve
from guidon_client.api.segments import (
    segments_create,
    segments_explain,
    segments_members_create,
    segments_members_list,
    segments_partial_update,
)
from guidon_client.models import (
    ChangedMeanwhile,
    ClauseRequest,
    ConfirmationRequired,
    Context,
    Explanation,
    Member,
    MemberKindEnum,
    MemberRequest,
    OpEnum,
    PaginatedMemberList,
    PatchedSegmentUpdateRequest,
    Problem,
    RuleRequest,
    Segment,
    SegmentRequest,
)

url, key = sys.argv[1:3]
user = UUID(sys.argv[3])
client = AuthenticatedClient(base_url=url, token=key)
rules = [RuleRequest([ClauseRequest(OpEnum.IN, ["user", "admin"], attribute="role")])]


def show(*values: object) -> None:
    print(json.dumps(values))


made = segments_create.sync_detailed(client=client, body=SegmentRequest("paying", "Paying"))
assert isinstance(made.parsed, Segment), made
show("create", made.status_code, made.parsed.version, made.headers["ETag"])

again = segments_create.sync_detailed(client=client, body=SegmentRequest("paying", "Paying"))
assert isinstance(again.parsed, Problem), again
show("invalid", again.status_code, again.parsed.type_.value)

change = PatchedSegmentUpdateRequest(rules=rules, note="Everybody")
stopped = segments_partial_update.sync_detailed("paying", client=client, body=change)
asked = stopped.parsed
assert isinstance(asked, ConfirmationRequired), stopped
show("confirmation", stopped.status_code, asked.entering.at_least, asked.leaving.at_least)

assert asked.confirm is not None
change.confirm = asked.confirm
written = segments_partial_update.sync_detailed("paying", client=client, body=change)
assert isinstance(written.parsed, Segment), written
show("confirmed", written.status_code, written.parsed.version)

late = PatchedSegmentUpdateRequest(name="Payers")
refused = segments_partial_update.sync_detailed("paying", client=client, body=late, if_match='"1"')
assert isinstance(refused.parsed, ChangedMeanwhile), refused
show("conflict", refused.status_code, refused.parsed.changed[0].note)

member = MemberRequest(user, kind=MemberKindEnum.EXCLUDE, reason="Asked for it", confirm=True)
added = segments_members_create.sync_detailed("paying", client=client, body=member)
assert isinstance(added.parsed, Member), added
members = segments_members_list.sync("paying", client=client)
assert isinstance(members, PaginatedMemberList), members
show("members", added.status_code, [str(one.user) for one in members.results])

explained = segments_explain.sync("paying", client=client, subject=str(user))
assert isinstance(explained, Explanation), explained
context = contexts_retrieve.sync("user", str(user), client=client)
assert isinstance(context, Context), context
show("explain", explained.decided_by, explained.verdict, "paying" in context.segments)
