"""The pages of a segment's members by name, and what the tests read from them."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from featureflags.models import HistoryEntry, SegmentMember

IMPORT = reverse("admin:featureflags_segment_by_name_import", args=["beta"])


def form(**fields: Any) -> dict[str, Any]:
    empty = {"kind": "include", "reason": "", "expires_at_0": "", "expires_at_1": ""}
    return {**empty, **fields}


def listed(text: str, **fields: Any) -> dict[str, Any]:
    return form(text=text, missing="all", **fields)


def members() -> dict[str, str]:
    """Kind of membership by address."""
    rows = SegmentMember.objects.filter(segment__key="beta")
    return dict(rows.values_list("user__email", "kind"))


def shown(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def entries_since(pk: int) -> list[HistoryEntry]:
    return list(HistoryEntry.objects.filter(pk__gt=pk))


def newest() -> int:
    return HistoryEntry.objects.latest("pk").pk
