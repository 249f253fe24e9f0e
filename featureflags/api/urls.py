"""`flags/`, `segments/` and what concerns contexts in the REST API."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from featureflags.api.contexts import OwnContextView, UserContextView, UserFlagsView
from featureflags.api.evaluate import EvaluateView
from featureflags.api.flags import FlagListView, FlagView
from featureflags.api.history import ChangeListView, RestoreView
from featureflags.api.segments import KEY_PATTERN, MemberViewSet, SegmentViewSet

router = SimpleRouter()
router.register("segments", SegmentViewSet, basename="segment")
router.register(
    rf"segments/(?P<segment_key>{KEY_PATTERN})/members", MemberViewSet, basename="segment-member"
)

urlpatterns = [
    path("flags/", FlagListView.as_view(), name="flag-list"),
    path("flags/evaluate/", EvaluateView.as_view(), name="flag-evaluate"),
    path("flags/<path:key>/", FlagView.as_view(), name="flag-detail"),
    path("users/me/context/", OwnContextView.as_view(), name="user-me-context"),
    path("users/<str:pk>/context/", UserContextView.as_view(), name="user-context"),
    path("users/<str:pk>/flags/", UserFlagsView.as_view(), name="user-flags"),
    path("segments/<str:key>/changes/", ChangeListView.as_view(), name="segment-changes"),
    path("segments/<str:key>/restore/", RestoreView.as_view(), name="segment-restore"),
    path("", include(router.urls)),
]
