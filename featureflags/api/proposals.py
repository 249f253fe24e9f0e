"""Proposed and scheduled changes of segments over REST: read, approved, refused, withdrawn, commented.

A proposal is made by a write of a segment or of its members with `propose` or `due_at`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import (
    ConfirmField,
    actor_of,
    examined_data,
    kinds_seen,
    require_confirmed,
)
from featureflags.api.examples import request_example
from featureflags.api.exceptions import Conflict
from featureflags.api.key_kinds import plans_of_kinds, require_kind
from featureflags.api.policy import ApiPolicy
from featureflags.api.proposal_serializers import (
    CommentTextSerializer,
    ProposalDetailSerializer,
    ProposalSerializer,
    RefusalSerializer,
)
from featureflags.api.strict import StrictSerializer
from featureflags.api.subjects import StaffWhoMayLook
from featureflags.editing import (
    APPROVE,
    Decided,
    NotPossible,
    OwnPlan,
    approve,
    attempt_now,
    comment,
    describe_plan,
    examine_plan,
    permissions_for,
    plans,
    refuse,
    wanted_by,
    withdraw,
)
from featureflags.models import PlannedChange, Segment


class ProposalFilter(filters.FilterSet):  # type: ignore[misc]  # it has no types
    state = filters.ChoiceFilter(choices=PlannedChange.State.choices)
    segment = filters.CharFilter(field_name="segment_key", label="The key of the segment.")


class _ProposalView(ApiPolicy, generics.GenericAPIView[Any]):
    """What the views of one proposal share."""

    queryset = Segment.objects.all()
    permission_classes = [StaffWhoMayLook]
    filter_backends: Any = []
    serializer_class: Any = ProposalDetailSerializer

    def stored(self, pk: int) -> PlannedChange:
        found = get_object_or_404(plans(), pk=pk)
        require_kind(self.request, wanted_by(found).state.kind)
        return found

    def answer(self, request: Request, plan: PlannedChange) -> Response:
        """The proposal as it is now, with what it would do."""
        described = describe_plan(plan, sees=kinds_seen(request))
        body = {**ProposalSerializer(described).data, **_now(request, plan)}
        return Response(body)


def _now(request: Request, plan: PlannedChange) -> dict[str, Any]:
    if not plan.is_open:
        return {"now": None, "not_possible": ""}
    try:
        return {"now": examined_data(request, examine_plan(plan)), "not_possible": ""}
    except NotPossible as error:
        return {"now": None, "not_possible": str(error)}


@contextmanager
def as_conflict() -> Iterator[None]:
    """A proposal that is decided, or cannot be made, is a conflict (409); one's own is forbidden."""
    try:
        yield
    except (Decided, NotPossible) as error:
        raise Conflict(str(error)) from error
    except OwnPlan as error:
        raise PermissionDenied(str(error)) from error


class ProposalListView(ApiPolicy, generics.ListAPIView[Any]):
    """All proposed and scheduled changes, the newest first."""

    queryset = PlannedChange.objects.all()
    permission_classes = [StaffWhoMayLook]
    serializer_class = ProposalSerializer
    filter_backends = [filters.DjangoFilterBackend]
    filterset_class = ProposalFilter
    detail = False

    def get_queryset(self) -> QuerySet[Any]:
        return plans_of_kinds(self.request, plans())

    @extend_schema(operation_id="proposals_list", responses=ProposalSerializer(many=True))
    def get(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        sees = kinds_seen(request)
        described = [describe_plan(each, sees=sees) for each in page]
        return self.get_paginated_response(ProposalSerializer(described, many=True).data)


class ProposalView(_ProposalView):
    """One proposal, with what it would do now."""

    @extend_schema(operation_id="proposals_retrieve", responses=ProposalDetailSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return self.answer(request, self.stored(pk))


@request_example("What was shown", {"confirm": True})
class ApprovalSerializer(StrictSerializer[Any]):
    """What is approved."""

    confirm = ConfirmField(
        help_text="`true`, or the `confirm` of `now`; the segment's key where that is null."
    )


class ProposalApproveView(_ProposalView):
    """Approve a proposal of somebody else: it is made now, or at its instant.

    Refused with 409 until `confirm` is sent, as any change that must be confirmed.
    """

    is_confirmed = True
    is_planned = False

    @extend_schema(
        operation_id="proposals_approve",
        request=ApprovalSerializer,
        responses=ProposalDetailSerializer,
    )
    def post(self, request: Request, pk: int) -> Response:
        actor, plan = actor_of(request), self.stored(pk)
        if not actor.has_perm(APPROVE):
            raise PermissionDenied(f"This takes the permission {APPROVE}.")
        confirm = ApprovalSerializer.read(request.data).get("confirm", "")
        with as_conflict():
            if plan.state != PlannedChange.State.PROPOSED:
                raise Decided(plan)
            if plan.author_id == actor.pk:
                raise OwnPlan
            examined = examine_plan(plan)
            require_confirmed(request, examined, confirm, always=True)
            approve(plan, examined, approver=actor)
            if plan.due_at is None or plan.next_attempt_at != plan.due_at:
                attempt_now(plan)
        return self.answer(request, plan)


class ProposalRefuseView(_ProposalView):
    """Refuse a proposal, or a scheduled change, of somebody else."""

    @extend_schema(
        operation_id="proposals_refuse",
        request=RefusalSerializer,
        responses=ProposalDetailSerializer,
    )
    def post(self, request: Request, pk: int) -> Response:
        actor, plan = actor_of(request), self.stored(pk)
        if not actor.has_perm(APPROVE):
            raise PermissionDenied(f"This takes the permission {APPROVE}.")
        with as_conflict():
            refuse(plan, actor, why=RefusalSerializer.read(request.data)["text"])
        return self.answer(request, plan)


class NoFieldsSerializer(StrictSerializer[Any]):
    """An empty body: a field would be ignored."""


class ProposalWithdrawView(_ProposalView):
    """Withdraw one's own proposal, or any that one could make oneself."""

    @extend_schema(
        operation_id="proposals_withdraw", request=None, responses=ProposalDetailSerializer
    )
    def post(self, request: Request, pk: int) -> Response:
        NoFieldsSerializer.read(request.data)
        actor, plan = actor_of(request), self.stored(pk)
        if plan.author_id != actor.pk:
            require_permissions(request, plan)
        with as_conflict():
            withdraw(plan)
        return self.answer(request, plan)


class ProposalApplyView(_ProposalView):
    """Make a scheduled change now, and not at its instant."""

    @extend_schema(operation_id="proposals_apply", request=None, responses=ProposalDetailSerializer)
    def post(self, request: Request, pk: int) -> Response:
        NoFieldsSerializer.read(request.data)
        plan = self.stored(pk)
        require_permissions(request, plan)
        with as_conflict():
            if plan.state != PlannedChange.State.SCHEDULED:
                raise Decided(plan)
            attempt_now(plan)
        return self.answer(request, plan)


class ProposalCommentView(_ProposalView):
    """Comment on a proposal. Everybody who may view segments reads it."""

    @extend_schema(
        operation_id="proposals_comment",
        request=CommentTextSerializer,
        responses=ProposalDetailSerializer,
    )
    def post(self, request: Request, pk: int) -> Response:
        plan = self.stored(pk)
        comment(plan, actor_of(request), CommentTextSerializer.read(request.data)["text"])
        return self.answer(request, plan)


def require_permissions(request: Request, plan: PlannedChange) -> None:
    """Raises PermissionDenied unless the caller could make the change."""
    needed = permissions_for(wanted_by(plan))
    if not request.user.has_perms(needed):
        raise PermissionDenied(f"This takes the permissions {', '.join(needed)}.")
