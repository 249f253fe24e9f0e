"""The pagination of every list in the REST API."""

from __future__ import annotations

from rest_framework.pagination import PageNumberPagination

MOST_FLAGS = 500


class Pages(PageNumberPagination):
    """50 rows a page, or as many as the caller asks for."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500


class FlagPagination(PageNumberPagination):
    """One page holds all flags of a usual project: callers want them all."""

    page_size = MOST_FLAGS
    page_size_query_param = "page_size"
    max_page_size = MOST_FLAGS
