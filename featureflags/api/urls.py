"""`flags/`, `segments/` and what concerns contexts in the REST API."""

from __future__ import annotations

from django.urls import include, path, register_converter
from django.urls.converters import StringConverter
from rest_framework.routers import SimpleRouter

from featureflags.api.contexts import OwnContextView
from featureflags.api.evaluate import EvaluateView
from featureflags.api.events import ExposureView, TrackView
from featureflags.api.explanations import (
    ContextFlagsView,
    ContextSegmentsView,
    ContextView,
    SegmentExplainView,
)
from featureflags.api.flag_explanations import FlagExplainView
from featureflags.api.flags import BootstrapView, FlagListView, FlagView
from featureflags.api.history import HistoryView, RestoreView
from featureflags.api.members import BulkMembersView
from featureflags.api.proposals import (
    ProposalApplyView,
    ProposalApproveView,
    ProposalCommentView,
    ProposalListView,
    ProposalRefuseView,
    ProposalView,
    ProposalWithdrawView,
)
from featureflags.api.segment_changes import ExamineView
from featureflags.api.segment_copies import CopyView, FreezeView
from featureflags.api.segment_documents import SegmentDocumentView
from featureflags.api.segment_numbers import LintView, PreviewView, SizeView
from featureflags.api.segment_overlap import OverlapView
from featureflags.api.segments import (
    KEY_PATTERN,
    ROW_PATTERN,
    MemberViewSet,
    SegmentViewSet,
)


class AnyKey(StringConverter):
    """The key of a row, which may be any text: with slashes, that clients send as `%2F`."""

    regex = ROW_PATTERN


register_converter(AnyKey, "row_key")

router = SimpleRouter()
router.register("segments", SegmentViewSet, basename="segment")
router.register(
    rf"segments/(?P<segment_key>{KEY_PATTERN})/members", MemberViewSet, basename="segment-member"
)

urlpatterns = [
    path("flags/", FlagListView.as_view(), name="flag-list"),
    # By GET it is the flag of this name.
    path("flags/evaluate/", EvaluateView.as_view(), name="flag-evaluate"),
    path("flags/<path:key>/explain/", FlagExplainView.as_view(), name="flag-explain"),
    path("flags/<path:key>/", FlagView.as_view(), name="flag-detail"),
    # Not below `flags/`: a flag may be called `bootstrap`.
    path("bootstrap/", BootstrapView.as_view(), name="bootstrap"),
    path("users/me/context/", OwnContextView.as_view(), name="user-me-context"),
    path("contexts/<str:kind>/<row_key:key>/", ContextView.as_view(), name="context"),
    # Not below `contexts/`: the key of a row may end with `/flags`.
    path(
        "context-flags/<str:kind>/<row_key:key>/", ContextFlagsView.as_view(), name="context-flags"
    ),
    path(
        "context-segments/<str:kind>/<row_key:key>/",
        ContextSegmentsView.as_view(),
        name="context-segments",
    ),
    path("segment-documents/", SegmentDocumentView.as_view(), name="segment-documents"),
    path("segments/<str:key>/preview/", PreviewView.as_view(), name="segment-preview"),
    path("segments/<str:key>/examine/", ExamineView.as_view(), name="segment-examine"),
    path("segments/<str:key>/copy/", CopyView.as_view(), name="segment-copy"),
    path("segments/<str:key>/freeze/", FreezeView.as_view(), name="segment-freeze"),
    path("segments/<str:key>/overlap/", OverlapView.as_view(), name="segment-overlap"),
    path("segments/<str:key>/lint/", LintView.as_view(), name="segment-lint"),
    path("segments/<str:key>/size/", SizeView.as_view(), name="segment-size"),
    # Not below `members/`: the key of a member may be `bulk`.
    path("segments/<str:key>/bulk-members/", BulkMembersView.as_view(), name="segment-bulk"),
    path("segments/<str:key>/explain/", SegmentExplainView.as_view(), name="segment-explain"),
    path("segments/<str:key>/history/", HistoryView.as_view(), name="segment-history"),
    path("segments/<str:key>/restore/", RestoreView.as_view(), name="segment-restore"),
    path("proposals/", ProposalListView.as_view(), name="proposal-list"),
    path("proposals/<int:pk>/", ProposalView.as_view(), name="proposal-detail"),
    path("proposals/<int:pk>/approve/", ProposalApproveView.as_view(), name="proposal-approve"),
    path("proposals/<int:pk>/refuse/", ProposalRefuseView.as_view(), name="proposal-refuse"),
    path("proposals/<int:pk>/withdraw/", ProposalWithdrawView.as_view(), name="proposal-withdraw"),
    path("proposals/<int:pk>/apply/", ProposalApplyView.as_view(), name="proposal-apply"),
    path("proposals/<int:pk>/comments/", ProposalCommentView.as_view(), name="proposal-comment"),
    path("events/track/", TrackView.as_view(), name="event-track"),
    path("events/exposure/", ExposureView.as_view(), name="event-exposure"),
    path("", include(router.urls)),
]
