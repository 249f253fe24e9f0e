"""Who may do what in the REST API: staff, with the permissions that the admin asks for too."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from rest_framework import permissions
from rest_framework.request import Request
from rest_framework.views import APIView


class StaffModelPermissions(permissions.DjangoModelPermissions):
    """Staff who hold Django's view, add, change or delete permission for the view's model.

    Hidden SQL: two queries for a caller's permissions.
    """

    perms_map = {
        **permissions.DjangoModelPermissions.perms_map,
        "GET": ["%(app_label)s.view_%(model_name)s"],
        "HEAD": ["%(app_label)s.view_%(model_name)s"],
        "OPTIONS": ["%(app_label)s.view_%(model_name)s"],
    }

    def has_permission(self, request: Request, view: APIView) -> bool:
        user: Any = request.user
        is_staff = isinstance(user, AbstractBaseUser) and getattr(user, "is_staff", False)
        return is_staff and super().has_permission(request, view)
