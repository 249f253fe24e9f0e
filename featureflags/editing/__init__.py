"""One way to change a segment, for the admin, the REST API, the import command and a restore.

In: a change, which is one segment before and after, with the memberships that differ. Out: `examine`
gives whom it moves, which flags use the segment, and whether somebody must confirm it; `apply` writes
it, in one transaction with its history entry. A change is data, and so are its sentences:

>>> from dataclasses import replace
>>> from featureflags.models.changesets import SegmentState
>>> before = SegmentState(
...     key="paying", name="Paying", description="", is_active=True, version=3,
...     rules=[{"id": "r1", "clauses": [
...         {"attribute": "role", "op": "in", "values": ["admin"], "negate": False}]}],
... )
>>> after = replace(before, rules=[{"id": "r1", "clauses": [
...     {"attribute": "role", "op": "in", "values": ["tester"], "negate": False}]}])
>>> change = Change(before=before, after=after, expected_version=3)
>>> for line in change_in_words(change, with_addresses=False):
...     print(line)
Rule 1: changed condition: Role is any of "admin" → Role is any of "tester"

With a stored segment, and a database:

    segment.rules = [{"clauses": [{"attribute": "custom_plan", "op": "in", "values": ["pro"]}]}]
    examined = examine(change_to(segment))
    examined.moved               # Moved(entering=120, leaving=3, at_least=False)
    examined.live_flags          # ("new-checkout",)
    examined.needs_confirmation  # True: show why_in_words(examined), and ask
    apply(examined, source="admin", note="Everybody who pays")

Three words, one meaning each:

- a **change** (`Change`, `MemberChange`) is one segment or membership before and after: wanted,
  examined, applied, or read from the history;
- a **changeset** (`featureflags.models.changesets`) is everything that one transaction writes, with
  its actor, note and source;
- a **history entry** (`HistoryEntry`, `HistoryMember`) is the row that stores what a changeset did
  to one segment. `featureflags.editing.history` reads them.
"""

from __future__ import annotations

from featureflags.editing.about import dump_state, load_state, owner_in_words
from featureflags.editing.accepted_warnings import accept_warnings, open_warnings
from featureflags.editing.applying import Approval, NeedsApproval, apply
from featureflags.editing.before_and_after import flag_effects
from featureflags.editing.change_sentences import (
    change_in_words,
    rules_in_words,
    segment_in_words,
)
from featureflags.editing.changes import (
    Change,
    MemberChange,
    change_to,
    deletion_of,
    member_changes,
    membership_change,
    permissions_for,
    place_key,
    stored_members,
)
from featureflags.editing.condition_sentences import (
    all_values,
    condition_in_words,
    label_of,
    moment_in_words,
    rule_in_words,
    share_in_words,
)
from featureflags.editing.confirmation import are_confirmed, sign, why_in_words
from featureflags.editing.documents import NotImportable, export_segments
from featureflags.editing.due_plans import attempt_now, make_due
from featureflags.editing.effects import FlagEffects
from featureflags.editing.examining import (
    Examination,
    FlagUse,
    Reason,
    asks_for_approval,
    examine,
    unused_segments,
)
from featureflags.editing.foreign_documents import import_remarks
from featureflags.editing.forgetting import forget_deleted_rows
from featureflags.editing.importing import import_segments
from featureflags.editing.member_files import (
    LARGEST_FILE,
    LineRemark,
    MemberLine,
    MemberList,
    TooManyLines,
    UnreadableFile,
    decode_file,
    read_member_list,
    too_large,
)
from featureflags.editing.member_lookup import FoundMembers, find_members
from featureflags.editing.notices import approvers
from featureflags.editing.organising import archival_of, copy_of, free_key, frozen, tagged
from featureflags.editing.plan_descriptions import (
    DescribedPlan,
    describe_plan,
    plans,
    waiting_for,
)
from featureflags.editing.plan_documents import NotPossible
from featureflags.editing.plan_moves import PlannedMove, planned_moves
from featureflags.editing.plans import (
    Decided,
    OwnPlan,
    approve,
    check_due,
    comment,
    examine_plan,
    forget_user,
    impossible,
    make_plan,
    numbers_of,
    propose_again,
    refuse,
    wanted_by,
    withdraw,
)
from featureflags.editing.segment_search import SEARCH_FIELDS, segments_with
from featureflags.editing.vouching import APPROVE

__all__ = [
    "APPROVE",
    "LARGEST_FILE",
    "SEARCH_FIELDS",
    "Approval",
    "Change",
    "Decided",
    "DescribedPlan",
    "Examination",
    "FlagEffects",
    "FlagUse",
    "FoundMembers",
    "LineRemark",
    "MemberChange",
    "MemberLine",
    "MemberList",
    "NeedsApproval",
    "NotImportable",
    "NotPossible",
    "OwnPlan",
    "PlannedMove",
    "Reason",
    "TooManyLines",
    "UnreadableFile",
    "accept_warnings",
    "all_values",
    "apply",
    "approve",
    "approvers",
    "archival_of",
    "are_confirmed",
    "asks_for_approval",
    "attempt_now",
    "change_in_words",
    "change_to",
    "check_due",
    "comment",
    "condition_in_words",
    "copy_of",
    "decode_file",
    "deletion_of",
    "describe_plan",
    "dump_state",
    "examine",
    "examine_plan",
    "export_segments",
    "find_members",
    "flag_effects",
    "forget_deleted_rows",
    "forget_user",
    "free_key",
    "frozen",
    "import_remarks",
    "import_segments",
    "impossible",
    "label_of",
    "load_state",
    "make_due",
    "make_plan",
    "member_changes",
    "membership_change",
    "moment_in_words",
    "numbers_of",
    "open_warnings",
    "owner_in_words",
    "permissions_for",
    "place_key",
    "planned_moves",
    "plans",
    "propose_again",
    "read_member_list",
    "refuse",
    "rule_in_words",
    "rules_in_words",
    "segment_in_words",
    "segments_with",
    "share_in_words",
    "sign",
    "stored_members",
    "tagged",
    "too_large",
    "unused_segments",
    "waiting_for",
    "wanted_by",
    "why_in_words",
    "withdraw",
]
