"""Users over REST: one's own account, and everybody's for staff."""

from __future__ import annotations

from typing import Any

from rest_framework import generics, mixins, viewsets
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import IsAuthenticated

from featureflags.api.policy import LIST_FILTERS, ApiPolicy
from featureflags.api.staff import StaffModelPermissions
from users.api.filters import UserFilter
from users.api.serializers import OwnUserSerializer, UserSerializer
from users.models import User
from users.querysets import UserQuerySet


class OwnUserView(ApiPolicy, generics.RetrieveUpdateAPIView[User]):
    """The caller's own account. Only the name can be changed."""

    serializer_class = OwnUserSerializer
    context_kind = "user"
    permission_classes = [IsAuthenticated]
    http_method_names = ["get", "head", "options", "patch"]

    def get_object(self) -> User:
        user: Any = self.request.user
        if not isinstance(user, User):
            raise NotAuthenticated
        return user


class UserViewSet(
    ApiPolicy,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    viewsets.GenericViewSet[User],
):
    """Every account, for staff with the permission to view users, or to change them."""

    serializer_class = UserSerializer
    context_kind = "user"
    permission_classes = [StaffModelPermissions]
    http_method_names = ["get", "head", "options", "patch"]
    queryset = User.objects.all()
    lookup_value_regex = "[0-9a-fA-F-]{36}"
    filter_backends = LIST_FILTERS
    filterset_class = UserFilter
    search_fields = ["email", "name"]
    ordering_fields = ["email", "name", "role", "created_at", "last_seen_at"]
    ordering = ["email"]

    def get_queryset(self) -> UserQuerySet[User]:
        users: UserQuerySet[User] = User.objects.with_group_names()
        return users
