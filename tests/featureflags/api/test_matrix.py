"""Who may do what: every operation of the API x every caller, about themselves and about others.

The table is complete by construction: an operation of the schema that it lacks fails, and so does a line
for an operation that is gone. A cell says what the caller gets: `yes` (any answer to somebody who may),
`401`, `403`, or `404` (to hide that something is there).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.editing import change_to, examine, make_plan
from featureflags.models import HistoryEntry, PlanComment, PlannedChange, Segment, SegmentMember
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.featureflags.api.callers import AS, CALLERS
from tests.featureflags.api.documented import operations
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag
from users.models import User

# Who may do what is decided before the database is asked for anything but rows: both answer the same.
pytestmark = [pytest.mark.django_db, pytest.mark.embedded_stack]

READ: Final = {
    "anonymous": 401,
    "user": 403,
    "viewer": "yes",
    "editor": "yes",
    "superuser": "yes",
    "evaluate": 403,
    "read": "yes",
    "write": "yes",
    "read of a user": 403,
    "write of a user": 403,
    "write of a viewer": "yes",
    "expired": 401,
    "revoked": 401,
    "session without CSRF": "yes",
}
"""What staff who may view read."""
WRITE: Final = {
    **READ,
    "viewer": 403,
    "read": 403,
    "write of a viewer": 403,
    "session without CSRF": 403,
}
"""What staff who may change write."""
OWN: Final = {
    **dict.fromkeys(CALLERS, "yes"),
    "anonymous": 401,
    "evaluate": 403,
    "expired": 401,
    "revoked": 401,
}
"""What everybody who is known reads of themselves."""
OWN_WRITE: Final = {**OWN, "read": 403, "read of a user": 403, "session without CSRF": 403}
PUBLIC: Final = {**OWN, "anonymous": "yes"}
"""What a visitor reads too. A wrong key is refused all the same."""
ANYBODY: Final = {**READ, "evaluate": "yes", "read of a user": "yes", "write of a user": "yes"}
"""For programs with any key, and for staff who may view users."""
ASKED: Final = {**ANYBODY, "session without CSRF": 403}
PROGRAMS: Final = {
    **dict.fromkeys(CALLERS, 401),
    **dict.fromkeys(
        ("evaluate", "read", "write", "read of a user", "write of a user", "write of a viewer"),
        "yes",
    ),
}
"""OFREP knows keys alone."""

PAGES: Final = dict.fromkeys(CALLERS, "yes")
"""For a page: its session counts, and a key is not looked at."""

TABLE: Final[dict[str, dict[str, Any]]] = {
    "events_exposure": {**PUBLIC, "evaluate": "yes", "session without CSRF": 403},
    "events_track": {**PUBLIC, "evaluate": "yes", "session without CSRF": 403},
    "flags_bootstrap": PAGES,
    "flags_list": PUBLIC,
    "flags_retrieve": PUBLIC,
    "flags_evaluate": ASKED,
    "flags_explain": READ,
    "ofrep_flag": PROGRAMS,
    "ofrep_flags": PROGRAMS,
    "contexts_retrieve": READ,
    "contexts_flags": READ,
    "contexts_segments": READ,
    "segments_list": READ,
    "segments_create": WRITE,
    "segments_retrieve": READ,
    "segments_update": WRITE,
    "segments_partial_update": WRITE,
    "segments_destroy": WRITE,
    "segments_explain": READ,
    "segments_history": READ,
    "segments_lint": READ,
    "segments_preview": {**READ, "session without CSRF": 403},
    "segments_examine": WRITE,
    "segments_document": READ,
    "segments_import": WRITE,
    "segments_copy": WRITE,
    "segments_freeze": WRITE,
    "segments_overlap": READ,
    "segments_size": READ,
    "segments_restore": WRITE,
    "segments_members_bulk": WRITE,
    "segments_members_list": READ,
    "segments_members_create": WRITE,
    "segments_members_retrieve": READ,
    "segments_members_update": WRITE,
    "segments_members_partial_update": WRITE,
    "segments_members_destroy": WRITE,
    "proposals_list": READ,
    "proposals_retrieve": READ,
    "proposals_approve": {**WRITE, "editor": 403},
    "proposals_refuse": {**WRITE, "editor": 403},
    "proposals_withdraw": WRITE,
    "proposals_apply": WRITE,
    "proposals_comment": {**READ, "read": 403, "session without CSRF": 403},
    "users_list": READ,
    "users_retrieve": READ,
    "users_partial_update": WRITE,
    "users_me_retrieve": OWN,
    "users_me_partial_update": OWN_WRITE,
    "users_me_context": OWN,
}

BODIES: Final[dict[str, dict[str, Any]]] = {
    "flags_evaluate": {"subjects": ["x"], "flags": ["new-checkout"]},
    "proposals_approve": {"confirm": True},
    "segments_import": {"segments": {}},
    "proposals_comment": {"text": "Why?"},
    "ofrep_flag": {"context": {"targetingKey": "x"}},
    "ofrep_flags": {"context": {"targetingKey": "x"}},
}


def test_the_table_is_complete() -> None:
    assert set(TABLE) == {operation["operationId"] for _path, _method, operation in operations()}
    for name, line in TABLE.items():
        assert set(line) == set(CALLERS), name


@pytest.fixture(autouse=True)
def site(flag_file: FlagFile, settings: Settings) -> None:
    flag_file(
        boolean_flag("new-checkout") | {"clientSideAvailability": {"usingEnvironmentId": True}}
    )
    use(settings, THROTTLE_KEY=0, THROTTLE_USER=0, THROTTLE_ADDRESS=0, THROTTLE_WRONG_KEYS=0)


def asked(operation: dict[str, Any], path: str, who: User) -> str:
    """The address of an operation, about this user."""
    name = operation["operationId"]
    values = {
        "segment_key": "paying",
        "user_id": str(who.pk),
        "id": str(who.pk),
        "kind": "user",
        "key": str(who.pk) if name.startswith("contexts") else "paying",
    }
    if name.startswith("proposals"):
        values["id"] = str(proposal(name).pk)
    if "flag" in name:
        values["key"] = "new-checkout" if not name.startswith("contexts") else str(who.pk)
    for each, value in values.items():
        path = path.replace(f"{{{each}}}", value)
    needs = [one for one in operation.get("parameters", []) if one["name"] == "subject"]
    return f"{path}?subject={who.pk}" if needs else path


def cells() -> Iterator[Any]:
    for path, method, operation in operations():
        yield pytest.param(path, method, operation, id=operation["operationId"])


@pytest.mark.parametrize(("path", "method", "operation"), list(cells()))
def test_each_caller_gets_what_the_table_says(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    """About others, and about themselves: somebody's own id opens no door that is closed to them."""
    name, wrong = operation["operationId"], {}
    other = UserFactory.create()
    for caller in CALLERS:
        client, own = AS[caller]()
        addresses = {asked(operation, path, who) for who in (other, own) if who is not None}
        for address in sorted(addresses):
            include(other)
            before = stored()
            answer = client.generic(method, address, **body(name, operation))
            expected = TABLE[name][caller]
            may = answer.status_code not in {401, 403}
            if (may and expected != "yes") or (not may and answer.status_code != expected):
                wrong[caller, address] = (expected, answer.status_code, answer.content[:120])
            if expected != "yes":
                assert stored() == before, f"{name} as {caller} wrote"
    assert wrong == {}


def include(user: User) -> None:
    """Also after a caller has removed or excluded them."""
    stored = SegmentMember.objects.filter(segment=segment(), user=user)
    if not stored.filter(kind="include").exists():
        stored.delete()
        SegmentMember.objects.create(segment=segment(), user=user, kind="include")


def segment() -> Segment:
    found, _made = Segment.objects.get_or_create(key="paying", defaults={"name": "Paying"})
    return found


def proposal(operation: str) -> PlannedChange:
    """Of somebody else, in a state in which the operation may do something."""
    changed = segment()
    changed.name = "Proposed"
    examined = examine(change_to(changed))
    due_at = timezone.now() + datetime.timedelta(days=1) if operation == "proposals_apply" else None
    return make_plan(examined, author=UserFactory.create(), source="api", due_at=due_at)


def stored() -> object:
    """What a caller who may not must leave as it is."""
    segments = list(Segment.objects.order_by("pk").values_list("pk", "key", "version", "name"))
    members = list(SegmentMember.objects.order_by("pk").values_list("pk", "kind"))
    plans = list(PlannedChange.objects.order_by("pk").values_list("pk", "state", "approver"))
    renamed = list(User.objects.filter(name="Changed").values_list("pk", flat=True))
    return segments, members, plans, PlanComment.objects.count(), renamed


def body(name: str, operation: dict[str, Any]) -> dict[str, Any]:
    """Where a right shows only after a valid body: a valid one."""
    if "requestBody" not in operation:
        return {}
    data: dict[str, Any] = BODIES.get(name, {"name": "Changed"} if "update" in name else {})
    if name == "segments_members_bulk":
        member = SegmentMember.objects.filter(segment=segment()).latest("pk")
        listed = [{"user": str(member.user_id), "kind": "exclude"}]
        data = {"change": "add", "members": listed, "confirm": True}
    if name == "segments_restore":
        data = {"change": HistoryEntry.objects.filter(segment_key="paying").latest("pk").pk}
    return {"data": json.dumps(data), "content_type": "application/json"}
