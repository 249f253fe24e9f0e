"""Changes of a segment, examined, for the tests of the room."""

from __future__ import annotations

import uuid
from typing import Any

from featureflags.editing import Change, Examination, MemberChange, examine
from featureflags.models import Segment
from featureflags.models.changesets import MemberState, SegmentState
from tests.factories import clause, rule
from users.models import User

PRO = [rule(clause("custom_plan", "in", "pro"))]
TEAM = [rule(clause("custom_plan", "in", "team"))]
INCLUDED = MemberState(kind="include", reason="", expires_at=None)


def people(count: int, **metadata: Any) -> list[User]:
    users = [User(email=f"{uuid.uuid4()}@example.com", metadata=metadata) for _ in range(count)]
    User.objects.bulk_create(users)
    return users


def state(segment: Segment, **fields: Any) -> SegmentState:
    for name, value in fields.items():
        setattr(segment, name, value)
    return segment.as_state()


def change(segment: Segment, **fields: Any) -> Examination:
    before = segment.stored_state()
    return examine(Change(before=before, after=state(segment, **fields)))


def deletion(segment: Segment) -> Examination:
    return examine(Change(before=segment.stored_state(), after=None))


def membership(segment: Segment, *users: User, state: MemberState = INCLUDED) -> Examination:
    stored = segment.stored_state()
    members = {user.pk: MemberChange(before=None, after=state) for user in users}
    return examine(Change(before=stored, after=stored, members=members))
