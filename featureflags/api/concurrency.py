"""Writes of the REST API: refused until they are confirmed, or until the caller has looked again.

The answer is 409, with who enters and leaves and which flags use the segment, unless `confirm` is
sent: `true`, or the `confirm` of that answer, which is valid for exactly what the answer showed. To delete or deactivate
a segment that flags target, `confirm` must be the segment's key. It is 409 (412 for `If-Match`), with
what others have changed, if the caller's version is not the stored one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypedDict

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.http import parse_etags
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, PermissionDenied
from rest_framework.request import Request

from featureflags.api.key_kinds import allows_kind, entries_seen, may_ask, require_kind
from featureflags.api.planning import AT_ONCE, Plan, approval_or_plan, plan_in
from featureflags.audience import Part
from featureflags.core.input_gate import whole_number
from featureflags.core.times import to_microseconds, to_rfc3339
from featureflags.core.types import Account
from featureflags.editing import (
    Change,
    Examination,
    FlagEffects,
    apply,
    are_confirmed,
    change_in_words,
    examine,
    flag_effects,
    sign,
)
from featureflags.editing.history import describe, state_at
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_or_user, kinds, user_kind
from featureflags.models import Segment
from featureflags.models.changesets import SegmentState

SOURCE: Final = "api"
MOST_ENTRIES: Final = 20
LONGEST_NOTE: Final = 1000
SECONDS: Final = 2.0
"""For the values of flags in an answer."""


class Refused(APIException):
    """Nothing was written. `body`: the JSON of the answer."""

    def __init__(self, body: dict[str, Any], code: int = status.HTTP_409_CONFLICT) -> None:
        super().__init__()
        self.status_code = code
        self.detail: Any = body


@extend_schema_field({"oneOf": [{"type": "boolean"}, {"type": "string"}]})
class ConfirmField(serializers.Field[Any, Any, Any, Any]):
    """`true`, the `confirm` of an answer, or the key of a segment."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"write_only": True, "required": False, **options})

    def to_internal_value(self, data: Any) -> bool | str:
        if not isinstance(data, bool | str):
            raise serializers.ValidationError(
                _("Send true, or the text that the answer asked for.")
            )
        return data


class How(TypedDict):
    """How a change is to be written: the confirmation, the note for the history, and when."""

    confirm: object
    note: str
    plan: Plan


def how_in(data: dict[str, Any]) -> How:
    """Take the fields out of validated data."""
    return How(confirm=data.pop("confirm", ""), note=data.pop("note", ""), plan=plan_in(data))


def write(
    request: Request, change: Change, *, confirm: object, note: str, plan: Plan = AT_ONCE
) -> Segment:
    """Examine and apply a change. Raises Refused (409) if it must be confirmed or approved and is not, and
    PlannedInstead where it is proposed or scheduled."""
    return write_examined(request, examine(change), confirm=confirm, note=note, plan=plan)


def write_examined(
    request: Request, one: Examination, *, confirm: object, note: str, plan: Plan = AT_ONCE
) -> Segment:
    """As `write`, of a change that is examined."""
    require_kind(request, one.change.state.kind)
    is_proposed = plan.propose or (plan.due_at is not None and one.needs_approval)
    if one.needs_approval and not (is_proposed or plan.emergency):
        raise Refused(_refusal(request, one))
    if not is_proposed:
        require_confirmed(request, one, confirm)
    sees = kinds_seen(request)
    approval = approval_or_plan(request, one, source=SOURCE, note=note, plan=plan, sees=sees)
    (segment,) = apply(one, source=SOURCE, note=note, approval=approval)
    return segment


def actor_of(request: Request) -> Account:
    """Raises PermissionDenied for a caller without a user."""
    if not isinstance(request.user, AbstractBaseUser):
        raise PermissionDenied
    return request.user


def require_confirmed(
    request: Request, one: Examination, confirm: object, *, always: bool = False
) -> None:
    """Raises Refused (409) if the change must be confirmed and is not. `always`: any must be."""
    if not (always or one.needs_confirmation) or confirm == one.key:
        return
    actor = actor_of(request)
    if not one.needs_key and confirm is True:
        return
    if not one.needs_key and isinstance(confirm, str) and are_confirmed([one], confirm, actor):
        return
    raise Refused(_refusal(request, one, is_approval=always))


def examined_data(
    request: Request, one: Examination, *, seconds: float = SECONDS
) -> dict[str, Any]:
    """An examination in JSON types, for the caller. `seconds`: for the values of flags.

    Flags that the caller's key is not for are left out; `needs_key` and `reasons` count them all the same.
    """
    actor, kind = actor_of(request), kind_of(one.change.state)
    may_see = sees_people(request, kind)
    effects = flag_effects(one, seconds=seconds)
    return {
        "needs_approval": one.needs_approval,
        "reasons": [str(reason) for reason in one.reasons],
        "changes": change_in_words(one.change, with_addresses=may_see),
        "entering": part_data(one.impact.entering, kind, may_see=may_see),
        "leaving": part_data(one.impact.leaving, kind, may_see=may_see),
        "flags_known": one.flags_known,
        "flags": [use.to_dict() for use in one.uses if may_ask(request, use.flag)],
        "effects": None if effects is None else _effects_data(request, effects),
        "needs_key": one.needs_key,
        "confirm": None if one.needs_key else sign([one], actor),
    }


def _effects_data(request: Request, effects: FlagEffects) -> dict[str, Any]:
    seen = tuple(one for one in effects.flags if may_ask(request, one.flag))
    return replace(effects, flags=seen).to_dict()


def _refusal(request: Request, one: Examination, *, is_approval: bool = False) -> dict[str, Any]:
    """`is_approval`: to the person who approves it."""
    if one.needs_approval and not is_approval:
        text = _("Somebody else must approve this: send “propose”: true.")
    elif one.needs_key:
        text = _("To do this, send the segment's key as “confirm”.")
    else:
        text = _(
            "To do this, send “confirm”: true, or the text of “confirm” in this answer, which holds"
            " for exactly this change."
        )
    detail = f"{_('Nothing is written yet.')} {text}"
    return {"detail": detail, **examined_data(request, one)}


def part_data(part: Part, kind: CompiledKind, *, may_see: bool) -> dict[str, Any]:
    """A part of the rows of a kind in JSON types. `may_see`: with examples."""
    shown: dict[str, Any] = {"at_least": part.at_least, "exact": part.is_exact}
    if part.estimate is not None:
        estimate = part.estimate
        shown["estimate"] = {"about": estimate.about, "low": estimate.low, "high": estimate.high}
    if may_see:
        shown["sample"] = [{"key": row.key, kind.title: row.title} for row in part.samples]
    return shown


def kind_of(segment: Segment | SegmentState) -> CompiledKind:
    """Whose rows are in it; `user` where no app declares the kind."""
    return kind_or_user(segment.kind)


def sees_people(request: Request, kind: CompiledKind | None = None) -> bool:
    """True if the caller may see users, or rows of another kind."""
    actor, kind = request.user, kind or user_kind()
    is_user = isinstance(actor, AbstractBaseUser)
    return is_user and _may_see(actor, kind) and allows_kind(request, kind.name)


def kinds_seen(request: Request) -> frozenset[str]:
    """The kinds whose rows the caller may see by title."""
    return frozenset(kind.name for kind in kinds() if sees_people(request, kind))


def _may_see(actor: Account, kind: CompiledKind) -> bool:
    meta = kind.model._meta
    names = (f"{meta.app_label}.{verb}_{meta.model_name}" for verb in ("view", "change"))
    return any(bool(actor.has_perm(name)) for name in names)


def require_version(request: Request, segment: Segment) -> int | None:
    """The version that must still be stored when the change is written; None: any.

    Raises Refused: 412 where `If-Match` names another version, 409 where the body does, and
    others have changed something since.
    """
    stored = segment.as_state()
    tags = _tags(request)
    if tags and tags != ["*"] and etag(segment.version) not in tags:
        raise Refused(_changed(request, stored, _oldest(tags)), status.HTTP_412_PRECONDITION_FAILED)
    given = request.data.get("version") if isinstance(request.data, Mapping) else None
    if isinstance(given, bool):
        # In Python, True is an int.
        raise serializers.ValidationError({"version": [_("A version is a number.")]})
    if not isinstance(given, int):
        return stored.version if tags and tags != ["*"] else None
    if given != stored.version:
        base = state_at(segment.key, given)
        if base is None or not base.says_the_same(stored):
            raise Refused(_changed(request, stored, given))
    return stored.version


def _tags(request: Request) -> list[str]:
    """Those of `If-Match`; none: the header was not sent. Raises ValidationError for one without a tag:
    it asks for a condition, and must not be written without."""
    header = request.headers.get("If-Match")
    tags: list[str] = parse_etags(header or "")
    if header is not None and len(tags) != header.count(",") + 1:
        raise serializers.ValidationError({"If-Match": [_('Send an ETag, such as "3", or *.')]})
    return tags


def etag(version: int) -> str:
    """A version as an HTTP entity tag."""
    return f'"{version}"'


def _oldest(tags: list[str]) -> int:
    versions = [tag.strip('"') for tag in tags]
    return min((one for text in versions if (one := whole_number(text)) is not None), default=0)


def _changed(request: Request, stored: SegmentState, since: int) -> dict[str, Any]:
    """What others have changed since a version."""
    found = entries_seen(request, stored.key).filter(version__gt=since)
    return {
        "detail": _("Somebody has changed this segment since version %d.") % since,
        "version": stored.version,
        "changed": [
            {
                "version": entry.version,
                "at": to_rfc3339(to_microseconds(entry.at)),
                "who": entry.who,
                "note": entry.note,
                "changes": list(entry.lines),
            }
            for entry in describe(found[:MOST_ENTRIES], sees=kinds_seen(request))
        ],
    }
