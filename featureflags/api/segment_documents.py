"""Segments for another installation, and from one: all of a document is written, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import (
    SOURCE,
    ConfirmField,
    Refused,
    examined_data,
    kinds_seen,
)
from featureflags.api.key_kinds import of_kinds, require_kind
from featureflags.api.policy import ApiPolicy
from featureflags.api.segment_changes import ExaminationSerializer
from featureflags.api.segment_serializers import NoteField
from featureflags.api.serializers import AnyJSONField
from featureflags.api.strict import StrictBooleanField, StrictCharField, StrictSerializer
from featureflags.api.subjects import StaffWhoMayLook
from featureflags.editing import (
    Approval,
    Examination,
    NotImportable,
    are_confirmed,
    import_segments,
    permissions_for,
    sign,
)
from featureflags.editing.installations import LeftOut, as_document, receive, send_page
from featureflags.models import Segment

SEGMENTS: Final = {
    "beta": {"key": "beta", "version": 3, "name": "Beta", "included": ["6d0c"], "rules": []}
}
NAMES: Final = {"user": {"6d0c": "ada@example.com"}}
EFFECT_SECONDS: Final = 2.0
"""For the values of flags of all segments of an answer."""


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "One segment",
            value={"segments": SEGMENTS, "names": NAMES, "problems": {}, "next": None},
            response_only=True,
        )
    ]
)
class SegmentDocumentSerializer(serializers.Serializer[Any]):
    """Segments in the form of `export_segments --native`, and who is named in them."""

    segments = serializers.DictField(child=AnyJSONField(), help_text="By key.")
    names = serializers.DictField(
        child=serializers.DictField(child=serializers.CharField()),
        help_text="By kind: the e-mail address, or the title, of each member and owner by key. Only of"
        " kinds that the caller may view.",
    )
    problems = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Segments that have no such form, by key, and why.",
    )
    next = serializers.CharField(
        allow_null=True, help_text="Send it as `after` for the next segments. null: these are all."
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Ask what it would do",
            value={"segments": SEGMENTS, "names": NAMES, "members": True, "dry_run": True},
            request_only=True,
        )
    ]
)
class WrittenDocumentSerializer(StrictSerializer[Any]):
    """Segments to be written, all of them or none. Segments that it does not name stay as they are."""

    segments = serializers.DictField(child=AnyJSONField(), help_text="As a GET gives them.")
    names = serializers.DictField(
        child=serializers.DictField(child=StrictCharField(max_length=1_000)),
        required=False,
        help_text="As a GET gives them: who is named, found here by e-mail address or title.",
    )
    members = StrictBooleanField(
        default=False, help_text="true: with members by name and owners. Else those of here stay."
    )
    dry_run = StrictBooleanField(default=False, help_text="true: count, and write nothing.")
    note = NoteField()
    confirm = ConfirmField()
    confirm_keys = serializers.ListField(
        child=StrictCharField(max_length=100),
        required=False,
        help_text="Segments that may be deactivated while flags target them.",
    )
    propose = StrictBooleanField(
        default=False, help_text="true: propose what needs an approval, and write the rest."
    )


class ExaminedSegmentSerializer(ExaminationSerializer):
    """What the write of one segment does."""

    confirm = None  # type: ignore[assignment]  # removes the field: one confirms all of it
    key = serializers.CharField()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Nothing differs",
            value={
                "written": False,
                "segments": [],
                "proposed": [],
                "left_out": {},
                "confirm": "1uQxYz:4f0c…",
            },
            response_only=True,
        )
    ]
)
class DocumentDoneSerializer(serializers.Serializer[Any]):
    """What was done, or with `dry_run` what would be done."""

    written = serializers.BooleanField()
    segments = ExaminedSegmentSerializer(many=True, help_text="Those that differ.")
    proposed = serializers.ListField(
        child=serializers.CharField(),
        help_text="Keys of segments whose change needs an approval: it is proposed.",
    )
    left_out = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="By segment, in words: members and owners who are nobody here.",
    )
    confirm = serializers.CharField(
        help_text="Send it as `confirm` with the write, which it is valid for alone."
    )


class SegmentDocumentView(ApiPolicy):
    """Segments for another installation, and from one.

    A user has another key there: the document also has the e-mail address of each member and owner.
    """

    is_confirmed = True
    has_limits = True
    permission_classes = [StaffWhoMayLook]
    query_parameters = frozenset({"after"})

    @extend_schema(
        operation_id="segments_document",
        parameters=[OpenApiParameter("after", str, description="The `next` of the last answer.")],
        responses=SegmentDocumentSerializer,
    )
    def get(self, request: Request) -> Response:
        rows = of_kinds(request, Segment.objects.all())
        after = request.query_params.get("after", "")
        found, after = send_page(after, kinds_seen(request), rows)
        return Response({**found.to_dict(), "next": after or None})

    @extend_schema(
        operation_id="segments_import",
        request=WrittenDocumentSerializer,
        responses=DocumentDoneSerializer,
    )
    def post(self, request: Request) -> Response:
        actor = request.user
        verbs = ("featureflags.add_segment", "featureflags.change_segment")
        if not isinstance(actor, AbstractBaseUser) or not any(map(actor.has_perm, verbs)):
            raise PermissionDenied
        asked = WrittenDocumentSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        data: dict[str, Any] = {**asked.validated_data}
        document, left_out = _received(request, data)
        examined = _import(document, dry_run=True)
        needed = {name for one in examined for name in permissions_for(one.change)}
        if not actor.has_perms(needed):
            raise PermissionDenied(f"This takes the permissions {', '.join(sorted(needed))}.")
        body = {
            "written": not data["dry_run"] and bool(examined),
            "segments": _shown(request, examined),
            "proposed": [one.key for one in examined if one.needs_approval],
            # The names are the caller's own.
            "left_out": {
                key: words
                for key, gone in left_out.items()
                if (words := [*gone.words(with_names=True)])
            },
            "confirm": sign(examined, actor),
        }
        if body["written"]:
            _require_confirmed(examined, data, actor, body)
            approval = Approval(author=actor) if data["propose"] else None
            _import(
                document,
                note=data.get("note", ""),
                expected=examined,
                approval=approval,
                source=SOURCE,
            )
        return Response(body)


def _received(
    request: Request, data: Mapping[str, Any]
) -> tuple[dict[str, Any], Mapping[str, LeftOut]]:
    """Raises ValidationError for what cannot be read here, PermissionDenied for a key of other kinds."""
    found = receive({**data, "problems": {}}, seen=kinds_seen(request))
    for one in found.documents.values():
        require_kind(request, one.definition.kind)
    if found.problems:
        raise ValidationError(
            {"segments": [f"{key}: {text}" for key, why in found.problems.items() for text in why]}
        )
    document = as_document(found.documents, found.left_out, with_members=data["members"])
    return document, found.left_out if data["members"] else {}


def _import(document: object, **options: Any) -> list[Examination]:
    try:
        return import_segments(document, **options)
    except NotImportable as error:
        raise ValidationError({"segments": list(error.problems)}) from error


def _shown(request: Request, examined: Sequence[Examination]) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    for one in examined:
        data = examined_data(request, one, seconds=EFFECT_SECONDS / len(examined))
        del data["confirm"]
        shown.append({"key": one.key, **data})
    return shown


def _require_confirmed(
    examined: Sequence[Examination],
    data: Mapping[str, Any],
    actor: AbstractBaseUser,
    body: Mapping[str, Any],
) -> None:
    """Raises Refused (409) where something must still be confirmed, or is not what was confirmed."""
    confirm = data.get("confirm", "")
    now = [one for one in examined if not (data["propose"] and one.needs_approval)]
    keys = {one.key for one in now if one.needs_key} - set(data.get("confirm_keys", ()))
    if any(one.needs_approval for one in now):
        text = "Somebody else must approve some of these changes: send “propose”: true."
    elif keys:
        text = f"To do this, send in “confirm_keys”: {', '.join(sorted(keys))}."
    elif isinstance(confirm, str) and confirm and not are_confirmed(examined, confirm, actor):
        text = "Something has changed since this was examined. Look again."
    elif not confirm and any(one.needs_confirmation for one in now):
        text = "To do this, send “confirm”: true, or the text of “confirm” in this answer."
    else:
        return
    raise Refused({"detail": f"Nothing is written. {text}", **body, "written": False})
