"""`users/` and `users/me/` of the REST API."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from users.api.views import OwnUserView, UserViewSet

router = SimpleRouter()
router.register("users", UserViewSet, basename="user")

urlpatterns = [
    path("users/me/", OwnUserView.as_view(), name="user-me"),
    path("", include(router.urls)),
]
