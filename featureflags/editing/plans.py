"""Planned changes: proposed by one person, decided by another, made when they are due.

    plan = make_plan(examined, author=ada, source="admin", note="For the launch", due_at=tomorrow)
    examined = examine_plan(plan)            # the numbers of now, for the person who decides
    approve(plan, examined, approver=ben)    # never the author; made at once where nothing is due later
    refuse(plan, ben, why="Too many")        # or withdraw(plan, ada)

A plan whose change needs an approval waits in the state `proposed`; every other one is `scheduled`.
Each step swaps the state that it read for the next one, so that of two people who decide at once one does.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.core.input_gate import LATEST
from featureflags.core.types import Account
from featureflags.core.uncached import fresh_rows
from featureflags.editing.applying import refuse_invalid
from featureflags.editing.changes import Change
from featureflags.editing.examining import Examination, examine
from featureflags.editing.member_lookup import chunks
from featureflags.editing.notices import announce_plan
from featureflags.editing.plan_documents import (
    NotPossible,
    NotValid,
    dump_change,
    load_change,
    on_what_is_stored,
)
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER
from featureflags.models import EventType, PlanComment, PlannedChange, Segment, StaleSegment
from featureflags.models.changesets import Moved
from featureflags.models.planned_changes import LONGEST_COMMENT, OPEN

State = PlannedChange.State


class Decided(Exception):
    """Somebody has decided about the plan already."""

    def __init__(self, plan: PlannedChange) -> None:
        super().__init__(_("This is decided already: %s.") % plan.get_state_display())


class OwnPlan(Exception):
    """Nobody approves their own plan."""

    def __init__(self) -> None:
        super().__init__(_("Somebody else must approve this: you proposed it."))


def make_plan(
    examined: Examination,
    *,
    author: Account | None,
    source: str,
    note: str = "",
    due_at: datetime.datetime | None = None,
) -> PlannedChange:
    """Store a change that is to be approved, or to be made later.

    It waits for an approval if the change needs one, or if it is not due later. Raises ValidationError
    for an instant that has passed.
    """
    check_due(due_at)
    waits = examined.needs_approval or due_at is None
    moved = examined.moved
    with transaction.atomic():
        plan = PlannedChange.objects.create(
            segment_key=examined.key,
            change=dump_change(examined.change),
            author=author,
            source=source,
            note=note,
            state=State.PROPOSED if waits else State.SCHEDULED,
            needs_approval=waits,
            due_at=due_at,
            entering=moved.entering,
            leaving=moved.leaving,
            at_least=moved.at_least,
            next_attempt_at=None if waits else due_at,
        )
        announce_plan(EventType.CHANGE_PROPOSED if waits else EventType.CHANGE_SCHEDULED, plan)
    return plan


def check_due(due_at: datetime.datetime | None) -> None:
    """Raises ValidationError for an instant that has passed, or that some time zone cannot show."""
    if due_at is not None and due_at <= timezone.now():
        raise ValidationError({"due_at": _("This moment has passed already.")})
    if due_at is not None and due_at > LATEST:
        raise ValidationError({"due_at": _("This must lie before the year 9999.")})


def wanted_by(plan: PlannedChange) -> Change:
    """The change as it was planned."""
    return load_change(plan.change)


def numbers_of(plan: PlannedChange) -> Moved:
    """The numbers that were last shown to a person who proposed, approved or scheduled it."""
    return Moved(entering=plan.entering, leaving=plan.leaving, at_least=plan.at_least)


def examine_plan(plan: PlannedChange, *, seconds: float | None = None) -> Examination:
    """What the change would do now, to the segment as it is now. Raises NotPossible."""
    with _refusals():
        return examine(_as_things_are(plan), seconds=seconds, with_flags=True)


@contextmanager
def _refusals() -> Iterator[None]:
    """Raises NotPossible for what the models refuse."""
    try:
        yield
    except StaleSegment as error:
        # Since it was read, a moment ago.
        raise NotPossible(_("The segment was deleted in the meantime.")) from error
    except ProtectedError as error:
        raise NotValid(str(error.args[0])) from error
    except ValidationError as error:
        raise NotValid(" ".join(error.messages)) from error


def _as_things_are(plan: PlannedChange) -> Change:
    """The change of what is stored now. Raises NotPossible, and what the models raise."""
    change = on_what_is_stored(wanted_by(plan))
    if change.is_nothing:
        raise NotPossible(_("Nothing is left to change: the segment says this already."))
    if change.is_of_members_only and change.ends_within(plan.created_at, timezone.now()):
        raise NotPossible(_("The time of its members has ended in the meantime."))
    refuse_invalid(change)
    return change


def impossible(found: Collection[PlannedChange]) -> dict[int, str]:
    """Why those of these open plans cannot be made that cannot, by id.

    One query, and up to three for each plan whose segment has changed since, or that is about members.
    """
    keys = {plan.segment_key for plan in found}
    with fresh_rows():
        versions = dict(Segment.objects.filter(key__in=keys).values_list("key", "version"))
    reasons = {}
    for plan in found:
        before = plan.change["before"]
        is_same = versions.get(plan.segment_key) == (before and before["version"])
        # A membership changes without a new version.
        if is_same and not plan.change["members"]:
            continue
        try:
            with _refusals():
                _as_things_are(plan)
        except NotPossible as error:
            reasons[plan.pk] = str(error)
    return reasons


def approve(plan: PlannedChange, examined: Examination, *, approver: Account) -> None:
    """Approve what was shown: it is due then, or at its instant if that is still to come.

    The caller makes it where it is due: see `due_plans.attempt`. Raises OwnPlan and Decided.
    """
    if plan.author_id == approver.pk:
        raise OwnPlan
    now, moved = timezone.now(), examined.moved
    due = plan.due_at is None or plan.due_at <= now
    with transaction.atomic():
        _swap(
            plan,
            [State.PROPOSED],
            state=State.SCHEDULED,
            approver=approver,
            decided_at=now,
            entering=moved.entering,
            leaving=moved.leaving,
            at_least=moved.at_least,
            next_attempt_at=now if due else plan.due_at,
            problem="",
        )
        announce_plan(EventType.CHANGE_APPROVED, plan)


def refuse(plan: PlannedChange, actor: Account, *, why: str = "") -> None:
    """Refuse it, with a comment. Raises Decided."""
    with transaction.atomic():
        _swap(plan, OPEN, state=State.REFUSED, decided_at=timezone.now(), next_attempt_at=None)
        if why:
            comment(plan, actor, why)
        announce_plan(EventType.CHANGE_REFUSED, plan, reason="person", actor=actor)


def refuse_unmade(plan: PlannedChange, reason: str, problem: str) -> None:
    """Refuse it because it cannot be made; `problem` is shown. Raises Decided."""
    with transaction.atomic():
        _swap(
            plan,
            OPEN,
            state=State.REFUSED,
            problem=problem,
            decided_at=timezone.now(),
            next_attempt_at=None,
        )
        announce_plan(EventType.CHANGE_REFUSED, plan, reason=reason)


def withdraw(plan: PlannedChange) -> None:
    """Raises Decided."""
    _swap(plan, OPEN, state=State.WITHDRAWN, decided_at=timezone.now(), next_attempt_at=None)


def propose_again(plan: PlannedChange, examined: Examination, *, author: Account) -> PlannedChange:
    """A new plan for the same, with the numbers of now, to be approved again where it must be."""
    later = plan.due_at is not None and plan.due_at > timezone.now()
    due_at = plan.due_at if later else None
    return make_plan(examined, author=author, source=plan.source, note=plan.note, due_at=due_at)


def wait_for_approval(plan: PlannedChange, why: str, moved: Moved | None = None) -> None:
    """A scheduled change needs an approval now; `why` is shown. `moved`: the numbers of now. Raises Decided."""
    shown = numbers_of(plan) if moved is None else moved
    with transaction.atomic():
        _swap(
            plan,
            [State.SCHEDULED],
            state=State.PROPOSED,
            needs_approval=True,
            approver=None,
            problem=why,
            entering=shown.entering,
            leaving=shown.leaving,
            at_least=shown.at_least,
            next_attempt_at=None,
        )
        announce_plan(EventType.CHANGE_PROPOSED, plan)


def comment(plan: PlannedChange, author: Account, text: str) -> PlanComment:
    """Add a comment. Raises ValidationError for an empty or too long one."""
    text = text.replace("\0", "").strip()
    if not text or len(text) > LONGEST_COMMENT:
        words = _("A comment has 1 to %d characters.") % LONGEST_COMMENT
        raise ValidationError({"text": words})
    return PlanComment.objects.create(plan=plan, author=author, text=text)


def _swap(plan: PlannedChange, states: Collection[str], **values: object) -> None:
    """Write these values if the state still is one of these. Raises Decided."""
    if not PlannedChange.objects.filter(pk=plan.pk, state__in=states).update(**values):
        plan.refresh_from_db()
        raise Decided(plan)
    plan.refresh_from_db()


def forget_user(key: str) -> None:
    """Take a deleted user out of all plans: one query, and one for each plan that names them."""
    named = Q(change__members__has_key=key)
    named |= Q(change__before__owner=key) | Q(change__after__owner=key)
    for plan in PlannedChange.objects.filter(named):
        states = {
            name: state if state is None or state.get("owner") != key else {**state, "owner": ""}
            for name, state in plan.change.items()
            if name in {"before", "after"}
        }
        plan.change = {**plan.change, **states}
        # The members of a segment of another kind have keys of their own, which may be the same text.
        _forget_members(plan, {key} if wanted_by(plan).state.kind == USER else ())


def forget_rows(kind: CompiledKind) -> None:
    """Take deleted rows of another kind than `user` out of all plans: two queries, and one for each plan."""
    of_kind = Q(change__before__kind=kind.name) | Q(change__after__kind=kind.name)
    found = [plan for plan in PlannedChange.objects.filter(of_kind) if plan.change["members"]]
    asked = sorted({key for plan in found for key in plan.change["members"]})
    known = {key for some in chunks(asked) for key in kind.existing(some)}
    for plan in found:
        if gone := plan.change["members"].keys() - known:
            _forget_members(plan, gone)


def _forget_members(plan: PlannedChange, gone: Collection[str]) -> None:
    members = {row: one for row, one in plan.change["members"].items() if row not in gone}
    plan.change = {**plan.change, "members": members}
    plan.save(update_fields=["change"])
