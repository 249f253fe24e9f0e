"""The pagination of a caller's flags."""

from __future__ import annotations

from rest_framework.pagination import PageNumberPagination

MOST_FLAGS = 500


class FlagPagination(PageNumberPagination):
    """One page holds all flags of a usual project: callers want them all."""

    page_size = MOST_FLAGS
    page_size_query_param = "page_size"
    max_page_size = MOST_FLAGS
