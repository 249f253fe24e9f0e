"""Who may do what in the REST API: staff, with the permissions that the admin asks for too."""

from __future__ import annotations

from rest_framework import permissions
from rest_framework.request import Request
from rest_framework.views import APIView

from featureflags.api.requests import is_staff


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
        return is_staff(request) and super().has_permission(request, view)
