"""The caller as LaunchDarkly sees them. Looking: nothing here sends an event."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import kinds_seen, sees_people
from featureflags.api.policy import ApiPolicy
from featureflags.api.requests import http_request
from featureflags.api.serializers import (
    ContextSerializer,
)
from featureflags.contexts.attributes import is_shown_to_self
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.snapshot import USER


class OwnContextView(ApiPolicy):
    """The caller's context, as flags are evaluated for this very request.

    Staff who may view users see all of it. Everybody else sees no segments, and the attributes that
    are declared to be shown.
    """

    permission_classes = [IsAuthenticated]
    context_kind = "user"

    @extend_schema(operation_id="users_me_context", responses=ContextSerializer)
    def get(self, request: Request) -> Response:
        found = resolve(None, request=http_request(request)).to_dict()
        return Response(without_unseen(request, found) if sees_people(request) else _own(found))


def without_unseen(request: Request, context: dict[str, Any]) -> dict[str, Any]:
    """The context of a row that the caller may see: of what belongs to it, the kinds that they may see."""
    if "related" not in context:
        return context
    seen = kinds_seen(request)
    related = {name: part for name, part in context["related"].items() if name in seen}
    return {**context, "related": related}


def _own(context: dict[str, Any], kind: str = USER) -> dict[str, Any]:
    """What users may see of their own context, and of what belongs to them."""
    attributes = context["attributes"].items()
    shown = {name: each for name, each in attributes if is_shown_to_self(name, kind)}
    private = [name for name in context["private_attributes"] if name in shown]
    own = {**context, "attributes": shown, "private_attributes": private, "segments": []}
    if "related" in own:
        own["related"] = {name: _own(part, name) for name, part in own["related"].items()}
    return own
