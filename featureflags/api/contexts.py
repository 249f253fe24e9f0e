"""Users as LaunchDarkly sees them. Looking: nothing here sends an event."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import sees_people
from featureflags.api.flags import may_ask
from featureflags.api.pagination import PAGE_PARAMETERS, FlagPagination
from featureflags.api.policy import ApiPolicy
from featureflags.api.requests import http_request
from featureflags.api.serializers import (
    ContextSerializer,
    EvaluationSerializer,
    evaluation_data,
)
from featureflags.api.staff import StaffModelPermissions
from featureflags.contexts.attributes import is_shown_to_self
from featureflags.core.types import Account
from featureflags.evaluation import all_flags, looking
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.registry import user_kind


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
        return Response(found if sees_people(request) else _own(found))


def _own(context: dict[str, Any]) -> dict[str, Any]:
    """What users may see of their own context."""
    shown = {name: each for name, each in context["attributes"].items() if is_shown_to_self(name)}
    private = [name for name in context["private_attributes"] if name in shown]
    return {**context, "attributes": shown, "private_attributes": private, "segments": []}


class _UserView(ApiPolicy, generics.GenericAPIView[Account]):
    """Something about one user, for staff who may view users."""

    permission_classes = [StaffModelPermissions]
    context_kind = "user"
    filter_backends: list[Any] = []

    def get_queryset(self) -> QuerySet[Account]:
        users: QuerySet[Account] = user_kind().loaded(user_kind().rows())
        return users


class UserContextView(_UserView):
    """The context of any user."""

    @extend_schema(operation_id="users_context", responses=ContextSerializer)
    def get(self, _request: Request, **_: Any) -> Response:
        return Response(resolve(self.get_object()).to_dict())


class UserFlagsView(_UserView):
    """Every flag as any user gets it now."""

    query_parameters = PAGE_PARAMETERS

    @extend_schema(operation_id="users_flags", responses=EvaluationSerializer(many=True))
    def get(self, request: Request, **_: Any) -> Response:
        with looking():
            evaluations = all_flags(self.get_object())
        shown = [
            evaluation_data(found, in_full=True)
            for found in evaluations.values()
            if may_ask(request, found.flag)
        ]
        paginator = FlagPagination()
        page = paginator.paginate_queryset(shown, request, view=self)
        return paginator.get_paginated_response(page)
