"""Which segments a page offers: all of them in a list where they are few, else those that fit what is typed.

    {"found": [{"value": "paying", "label": "Paying customers"}]}

Hidden SQL: one query each.
"""

from __future__ import annotations

from typing import Final

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Q, Value, When
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from featureflags.core.uncached import fresh_rows
from featureflags.evaluation import looking
from featureflags.flags.declared import declared_flags
from featureflags.launchdarkly.client import feature_store
from featureflags.models import Segment

MOST_LISTED: Final = 200
"""Segments, or segments and flags, in one list of choices: more make a page slow and are not read."""
FOUND: Final = 20
VERBS: Final = ("view", "change", "add")


def finder(**asked: str) -> str:
    """The address that finds segments. `kind`: only of this kind. `without`: not this one. `flags`: flags too."""
    address = reverse("admin:featureflags_segments_found")
    given = {name: value for name, value in asked.items() if value}
    return f"{address}?{urlencode(given)}" if given else address


def listed_segments(
    *, kind: str = "", without: str = "", with_archived: bool = False
) -> list[tuple[str, str]] | None:
    """Key and name of each segment, by name; None where there are too many for a list."""
    found = Segment.objects.exclude(key=without).order_by("name")
    if kind:
        found = found.filter(kind=kind)
    if not with_archived:
        found = found.filter(is_archived=False)
    with fresh_rows():
        rows = list(found.values_list("key", "name")[: MOST_LISTED + 1])
    return rows if len(rows) <= MOST_LISTED else None


def served_flags() -> list[str]:
    """The keys of all flags that are declared or served, sorted."""
    with looking():
        served = feature_store().raw()["flags"]
    return sorted({*declared_flags(), *served})


@require_GET
def segments_found(request: HttpRequest, *, site: AdminSite) -> JsonResponse:
    """Those whose key or name holds the text `q`; those that begin with it come first. `kind`, `without` and `flags`
    are as in `finder`; with `flags` each value says which it is: `segment:paying`.

    It takes the permission to view, change or add segments.
    """
    del site
    if not any(request.user.has_perm(f"featureflags.{verb}_segment") for verb in VERBS):
        raise PermissionDenied
    text, has_flags = request.GET.get("q", "").strip(), "flags" in request.GET
    found = Segment.objects.filter(Q(key__icontains=text) | Q(name__icontains=text))
    found = found.filter(is_archived=False).exclude(key=request.GET.get("without", ""))
    if kind := request.GET.get("kind"):
        found = found.filter(kind=kind)
    begins = Q(key__istartswith=text) | Q(name__istartswith=text)
    nearest = Case(When(begins, then=Value(0)), default=Value(1))
    rows = found.order_by(nearest, "key").values_list("key", "name")[:FOUND]
    mark = "segment:" if has_flags else ""
    answer = [{"value": f"{mark}{key}", "label": name} for key, name in rows]
    if has_flags:
        named = [key for key in served_flags() if text.lower() in key.lower()]
        answer += [{"value": f"flag:{key}", "label": key} for key in named[:FOUND]]
    return JsonResponse({"found": answer})
