"""Many members of a segment in one change: added, removed, or the whole list replaced; from JSON or CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import (
    LONGEST_NOTE,
    ConfirmField,
    how_in,
    kind_of,
    part_data,
    sees_people,
    write_examined,
)
from featureflags.api.exceptions import OverLimit
from featureflags.api.parsers import CSVParser, JSONParser
from featureflags.api.policy import ApiPolicy
from featureflags.api.problem_serializers import PartSerializer, ReasonsField
from featureflags.api.proposal_serializers import PROPOSED, PlanFieldsSerializer
from featureflags.api.requests import true_or_false
from featureflags.api.strict import (
    StrictBooleanField,
    StrictCharField,
    StrictDateTimeField,
    StrictSerializer,
)
from featureflags.api.subjects import StaffWhoMayLook, segment_of
from featureflags.core.conf import app_settings
from featureflags.editing import (
    Change,
    LineRemark,
    MemberLine,
    MemberList,
    TooManyLines,
    UnreadableFile,
    decode_file,
    examine,
    find_members,
    membership_change,
    read_member_list,
    stored_members,
)
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER
from featureflags.models import SegmentMember
from featureflags.models.changesets import MemberState

ADD, REMOVE, REPLACE = "add", "remove", "replace"
WAYS: Final = (ADD, REMOVE, REPLACE)
MOST_PROBLEMS: Final = 100
"""Problems of lines in one answer."""


class ListedMemberSerializer(StrictSerializer[Any]):
    """A user, and the membership that they are to have."""

    user = StrictCharField(
        max_length=500,
        help_text="The id, or the e-mail address; of another kind the key, or the name.",
    )
    kind = serializers.ChoiceField(choices=SegmentMember.Kind.choices, default="include")
    reason = StrictCharField(max_length=200, allow_blank=True, default="")
    starts_at = StrictDateTimeField(allow_null=True, default=None)
    expires_at = StrictDateTimeField(allow_null=True, default=None)


class BulkSerializer(PlanFieldsSerializer):
    """What is done with these members."""

    change = serializers.ChoiceField(
        choices=WAYS,
        help_text="`replace`: members who are not in the list are removed.",
    )
    members = serializers.ListField(child=ListedMemberSerializer(), allow_empty=True)
    dry_run = StrictBooleanField(default=False, help_text="true: count, and write nothing.")
    note = StrictCharField(required=False, allow_blank=True, max_length=LONGEST_NOTE, default="")
    confirm = ConfirmField()


class BulkDoneSerializer(serializers.Serializer[Any]):
    """What was done, or with `dry_run` what would be done."""

    written = serializers.BooleanField()
    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    removed = serializers.IntegerField()
    entering = PartSerializer()
    leaving = PartSerializer()
    reasons = ReasonsField()
    remarks = serializers.ListField(
        child=serializers.CharField(), help_text="Users who are listed more than once."
    )


def _in_csv(name: str, type_: Any, description: str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, type_, description=f"With CSV: {description}", **options)


PARAMETERS: Final = (
    _in_csv("change", str, "as in JSON, and required.", enum=list(WAYS)),
    _in_csv("dry_run", bool, "true: count, and write nothing."),
    _in_csv("note", {"type": "string", "maxLength": LONGEST_NOTE}, "why, for the history."),
    _in_csv("confirm", str, "`true`, or the `confirm` of a 409."),
    _in_csv("propose", bool, "true: propose it, for somebody else to approve."),
    _in_csv("emergency", bool, "true: write it without the approval that it needs."),
    _in_csv("due_at", OpenApiTypes.DATETIME, "write it at this instant."),
)


EXAMPLES: Final = (
    OpenApiExample(
        "Two more members",
        value={
            "change": "add",
            "members": [
                {"user": "6d0c3a52-0000-4000-8000-000000000000"},
                {"user": "ada@example.com", "kind": "exclude", "reason": "Asked to leave"},
            ],
            "dry_run": True,
        },
        request_only=True,
    ),
    OpenApiExample(
        "A list with a header",
        value="email,kind,reason\nada@example.com,include,Beta tester\n",
        request_only=True,
        media_type=CSVParser.media_type,
    ),
    OpenApiExample(
        "One member more",
        value={
            "written": True,
            "added": 1,
            "changed": 0,
            "removed": 0,
            "entering": {"at_least": 1, "exact": True, "sample": []},
            "leaving": {"at_least": 0, "exact": True, "sample": []},
            "reasons": [],
            "remarks": [],
        },
        response_only=True,
    ),
)


class BulkMembersView(ApiPolicy):
    """Change many members of a segment as one change, with one entry in its history.

    Send JSON, or CSV (`text/csv`) with the columns `key` or `email`, `kind`, `reason`, `starts_at` and
    `expires_at`, as the admin exports and reads them. All of the list is written, or nothing: each problem names its line.
    """

    is_confirmed = True
    names_segment = "key"
    queryset = SegmentMember.objects.all()
    permission_classes = [StaffWhoMayLook]
    parser_classes = [JSONParser, CSVParser]

    def _parameters(self, request: Request) -> set[str]:
        return {each.name for each in PARAMETERS} if _is_csv(request) else set()

    @extend_schema(
        operation_id="segments_members_bulk",
        parameters=[*PARAMETERS],
        request={"application/json": BulkSerializer, "text/csv": OpenApiTypes.STR},
        examples=[*EXAMPLES, PROPOSED],
        responses=BulkDoneSerializer,
    )
    def post(self, request: Request, key: str) -> Response:
        segment = segment_of(key)
        kind = kind_of(segment)
        if not sees_people(request, kind):
            raise PermissionDenied("To find users takes the permission to view users.")
        options = _options(request)
        listed = (
            _from_csv(request, kind) if _is_csv(request) else _from_json(options["members"], kind)
        )
        stored = stored_members(key)
        default = MemberState(kind=SegmentMember.Kind.INCLUDE, reason="", expires_at=None)
        found = find_members(listed, default, stored, kind)
        _refuse([*listed.problems, *found.problems])
        change = membership_change(segment, _wanted(options["change"], found.members, stored))
        _require_permissions(request, change)
        examined = examine(change)
        if not options["dry_run"] and change.members:
            write_examined(request, examined, **how_in(options))
        body = {
            "written": not options["dry_run"],
            **_counts(change),
            "entering": part_data(examined.impact.entering, kind, may_see=True),
            "leaving": part_data(examined.impact.leaving, kind, may_see=True),
            "reasons": [reason.value for reason in examined.reasons],
            "remarks": [str(one) for one in found.repeated[:MOST_PROBLEMS]],
        }
        return Response(body)


def _is_csv(request: Request) -> bool:
    return str(request.content_type).partition(";")[0].strip() == CSVParser.media_type


def _csv_of(request: Request) -> bytes:
    data: Any = request.data
    body: bytes = data["csv"]
    return body


def _options(request: Request) -> dict[str, Any]:
    """What is to be done, out of the body or the parameters. Raises ValidationError."""
    data = request.data
    if _is_csv(request):
        given = request.query_params
        data = {"members": [], **{name: given[name] for name in given}}
        for name in ("dry_run", "propose", "emergency"):
            if name in given:
                data[name] = true_or_false(request, name)
        if given.get("confirm") == "true":
            data["confirm"] = True
    limit = app_settings().max_members
    members = data.get("members") if isinstance(data, Mapping) else None
    if isinstance(members, list) and len(members) > limit:
        why = f"These are {len(members):,} members; a segment holds at most {limit:,}."
        raise OverLimit({"members": [why]})
    return BulkSerializer.read(data)


def _from_csv(request: Request, kind: CompiledKind) -> MemberList:
    try:
        return read_member_list(decode_file(_csv_of(request)), kind)
    except TooManyLines as error:
        raise OverLimit({"members": [str(error)]}) from None
    except UnreadableFile as error:
        raise ValidationError({"members": [str(error)]}) from None


def _from_json(members: Iterable[Mapping[str, Any]], kind: CompiledKind) -> MemberList:
    lines = (
        MemberLine(
            line=number,
            # Addresses and UUIDs are in lower case; a key that is a text stays as it is.
            text=text if kind.name != USER or kind.has_text_keys else text.lower(),
            kind=one["kind"],
            reason=one["reason"],
            starts_at=one["starts_at"],
            has_start=True,
            expires_at=one["expires_at"],
            has_expiry=True,
        )
        for number, one in enumerate(members, start=1)
        for text in [one["user"].strip()]
    )
    return MemberList(lines=tuple(lines), problems=())


def _refuse(problems: list[LineRemark]) -> None:
    if problems:
        shown = [str(one) for one in sorted(problems)[:MOST_PROBLEMS]]
        more = len(problems) - len(shown)
        raise ValidationError({"members": [*shown, *([f"And {more:,} more."] if more else [])]})


def _wanted(
    way: str, members: Mapping[str, MemberState], stored: Mapping[str, MemberState]
) -> dict[str, MemberState | None]:
    if way == REMOVE:
        return dict.fromkeys(members)
    gone = dict.fromkeys(stored.keys() - members.keys()) if way == REPLACE else {}
    return {**gone, **members}


def _counts(change: Change) -> dict[str, int]:
    verbs = [
        "added" if one.before is None else "removed" if one.after is None else "changed"
        for one in change.members.values()
    ]
    return {name: verbs.count(name) for name in ("added", "changed", "removed")}


def _require_permissions(request: Request, change: Change) -> None:
    verbs = {"added": "add", "changed": "change", "removed": "delete"}
    counts = _counts(change)
    needed = [f"featureflags.{verb}_segmentmember" for name, verb in verbs.items() if counts[name]]
    if not request.user.has_perms(needed):
        raise PermissionDenied(f"This takes the permissions {', '.join(needed)}.")
