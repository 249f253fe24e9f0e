"""The pagination of every list in the REST API."""

from __future__ import annotations

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request

from featureflags.core.input_gate import whole_number

MOST_ROWS = 500


class Pages(PageNumberPagination):
    """50 rows a page, or as many as the caller asks for."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = MOST_ROWS

    def get_page_size(self, request: Request) -> int | None:
        """Raises ValidationError for a size that is not one: it is not ignored."""
        given = request.query_params.get("page_size")
        if given is not None and not 1 <= (whole_number(given) or 0) <= MOST_ROWS:
            raise ValidationError({"page_size": [f"This is a number from 1 to {MOST_ROWS}."]})
        return super().get_page_size(request)


class FlagPagination(Pages):
    """One page holds all flags of a usual project: callers want them all."""

    page_size = MOST_ROWS
