"""The OpenAPI schema of each view: what drf-spectacular finds, and what every answer of this API has in common.

A view adds with `extend_schema` what is its own. From here come the errors (problem details), `If-Match`
and `ETag`, `Retry-After`, and `confirm` and `note` of a deletion. The docstrings of views and serializers
are public: they are the descriptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

import uritemplate
from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from featureflags.api.concurrency import LONGEST_NOTE
from featureflags.api.problem_serializers import CHANGED, CONFLICTS, PROBLEM
from featureflags.api.problems import BY_STATUS, CONTENT_TYPE, TITLES, URN
from featureflags.api.proposal_serializers import ProposalSerializer
from featureflags.api.strict import StrictSerializer
from featureflags.models import Scope

Direction: TypeAlias = Literal["request", "response"]

ALWAYS: Final = (400, 401, 403, 406, 429, 503)
"""Errors of every operation: an unknown parameter, a wrong key, a key of another scope, and so on."""
UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
WITH_BODY: Final = (413, 415)
WAITING: Final = ("429", "503")

HEADERS: Final = (
    OpenApiParameter(
        "WWW-Authenticate",
        location=OpenApiParameter.HEADER,
        response=["401"],
        required=True,
        description="The scheme of an API key.",
    ),
    OpenApiParameter(
        "Retry-After",
        OpenApiTypes.INT,
        OpenApiParameter.HEADER,
        response=list(WAITING),
        required=True,
        description="Seconds to wait.",
    ),
)
ETAG: Final = OpenApiParameter(
    "ETag",
    location=OpenApiParameter.HEADER,
    response=["200", "201", "304"],
    required=True,
    description="The version in quotes, for `If-Match` and `If-None-Match`.",
)
IF_NONE_MATCH: Final = OpenApiParameter(
    "If-None-Match",
    location=OpenApiParameter.HEADER,
    description="The `ETag` of an answer: 304 if nothing has changed since.",
)
NOT_MODIFIED: Final = OpenApiResponse(None, "Nothing has changed.")
IF_MATCH: Final = OpenApiParameter(
    "If-Match",
    location=OpenApiParameter.HEADER,
    description="The `ETag` that was read: 412 if others have changed the segment since. `*`: any.",
)
CONFIRM: Final = OpenApiParameter(
    "confirm",
    description=(
        "`true`, or the `confirm` of a 409; the segment's key where that answer asks for it. "
        "May be in the body too."
    ),
)

NOTE: Final = OpenApiParameter(
    "note",
    {"type": "string", "maxLength": LONGEST_NOTE},
    description="Why it is deleted, for the history. May be in the body too.",
)


PLANNING: Final = (
    OpenApiParameter("propose", bool, description="`true`: propose it. The answer is 202."),
    OpenApiParameter(
        "emergency", bool, description="`true`: delete it without the approval that it needs."
    ),
    OpenApiParameter(
        "due_at", OpenApiTypes.DATETIME, description="Delete it at this instant. The answer is 202."
    ),
)
IDEMPOTENCY: Final = (
    OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
        OpenApiParameter.HEADER,
        description=(
            "Any text of the caller's own, such as a UUID. Sent again within a day, with the same"
            " request, it gets the same answer and writes nothing."
        ),
    ),
    OpenApiParameter(
        "Idempotency-Replayed",
        {"type": "string", "enum": ["true"]},
        OpenApiParameter.HEADER,
        response=["200", "201", "202", "204"],
        description="The answer to an earlier request with this `Idempotency-Key`.",
    ),
)


class ApiSchema(AutoSchema):
    """The schema of one view."""

    error_type = CONTENT_TYPE

    def get_override_parameters(self) -> list[Any]:
        given: list[Any] = [*super().get_override_parameters(), *HEADERS]
        if self._is_write():
            given += IDEMPOTENCY
        if getattr(self.view, "has_versions", False) and not self._is_list_view():
            given.append(ETAG)
            if self._is_versioned_read():
                given.append(IF_NONE_MATCH)
            if self.method in {"PUT", "PATCH", "DELETE"}:
                given.append(IF_MATCH)
        if self._is_confirmed() and self.method == "DELETE":
            given += [CONFIRM, NOTE, *PLANNING]
        return given

    def _get_response_bodies(self, direction: Direction = "response") -> Any:
        """With each error that the operation may answer. What a view says itself stays."""
        bodies = super()._get_response_bodies(direction)
        if self._is_planned():
            answer = OpenApiResponse(ProposalSerializer, "It is proposed or scheduled.")
            bodies["202"] = self._get_response_for_code(answer, "202")  # type: ignore[no-untyped-call]
        if self._is_versioned_read():
            bodies["304"] = self._get_response_for_code(NOT_MODIFIED, "304")  # type: ignore[no-untyped-call]
        for status in map(str, sorted(set(self._errors()))):
            if status not in bodies:
                answer = OpenApiResponse(self._problem_of(status), _says(int(status)))
                bodies[status] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    answer, status, [self.error_type]
                )
        return bodies

    def _errors(self) -> Iterator[int]:
        yield from ALWAYS
        writes = self.method in UNSAFE
        if self._is_write() or (writes and getattr(self.view, "has_limits", False)):
            yield 422
        if uritemplate.variables(self.path) or self._is_list_view():
            yield 404  # also a page that there is not
        if self._is_confirmed() or (writes and getattr(self.view, "queryset", None) is not None):
            yield 409
        if writes and (self.method != "DELETE" or self._is_confirmed()):
            yield from WITH_BODY
        if getattr(self.view, "has_versions", False) and self.method in {"PUT", "PATCH", "DELETE"}:
            yield 412

    def _is_write(self) -> bool:
        """True if this may write, and so takes an `Idempotency-Key`."""
        needed = getattr(self.view, "needed_scope", Scope.WRITE)
        return self.method in UNSAFE and needed is Scope.WRITE

    def _is_versioned_read(self) -> bool:
        """True if this answers one row with its version as the `ETag`."""
        is_read = self.method == "GET" and not self._is_list_view()
        return is_read and getattr(self.view, "has_versions", False)

    def _is_confirmed(self) -> bool:
        """True if this writes what somebody may have to confirm."""
        return self.method != "GET" and getattr(self.view, "is_confirmed", False)

    def _is_planned(self) -> bool:
        """True if what this writes may be proposed or scheduled instead."""
        return self._is_confirmed() and getattr(self.view, "is_planned", True)

    def _problem_of(self, status: str) -> Any:
        if status == "409" and self._is_confirmed():
            return CONFLICTS
        return CHANGED if status == "412" else PROBLEM

    def _map_basic_serializer(self, serializer: Any, direction: Direction) -> Any:
        """An answer always has all fields of a row; a request of a strict serializer no others."""
        schema: dict[str, Any] = super()._map_basic_serializer(  # type: ignore[no-untyped-call]
            serializer, direction
        )
        if direction == "response" and isinstance(serializer, serializers.ModelSerializer):
            read = [name for name, each in schema["properties"].items() if not _is_written(each)]
            schema["required"] = sorted(read)
        if direction == "request" and isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False
        return schema


def _is_written(field: dict[str, Any]) -> bool:
    return bool(field.get("writeOnly"))


def _says(status: int) -> str:
    kind = BY_STATUS.get(status, "error")
    return f"`{URN}{kind}`: {TITLES[kind]}"


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its own
    """`Authorization: Bearer` with an API key."""

    target_class = "featureflags.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, _auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "API key",
            "description": "A key from the admin, or from `manage.py create_api_key`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its own
    """The session's cookie."""

    target_class = "featureflags.api.credentials.SessionAuthentication"
    name = "session"

    def get_security_definition(self, _auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
