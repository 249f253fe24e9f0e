"""Columns of the list of segments: stored sizes, their trend, and flags. No page counts users.

Hidden SQL: one query for the daily counts of all segments on the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from featureflags.admin.charts import sparkline
from featureflags.admin.segments.used_by_flags import told_in_short, uses_by_segment
from featureflags.admin.shared.formatting import moment_in_words
from featureflags.audience.stored_sizes import history
from featureflags.models import Segment, SegmentCount, SegmentSize

TREND_DAYS = 30


class SegmentChangeList(ChangeList):
    """As Django's; each segment of the page comes with its daily counts, and with its flags."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        segments: list[Segment] = list(self.result_list)
        keys = [segment.key for segment in segments]
        found, uses = history(keys, days=TREND_DAYS), uses_by_segment(keys) or {}
        for segment in segments:
            segment.flag_uses = uses.get(segment.key)  # type: ignore[attr-defined]  # ours
            segment.daily_counts = found[segment.key]  # type: ignore[attr-defined]  # ours
        self.result_list = segments


if TYPE_CHECKING:
    BaseModelAdmin = admin.ModelAdmin[Segment]
else:
    BaseModelAdmin = object


class SizeColumns(BaseModelAdmin):
    """For an admin of segments with `list_select_related = ("size",)`."""

    def get_changelist(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        **_kwargs: object,
    ) -> type[ChangeList]:
        return SegmentChangeList

    @admin.display(description=gettext_lazy("users"), ordering="size__at_least")
    def size_in_words(self, segment: Segment) -> str:
        """How many users were in it when they were last counted, and how that number went."""
        size = size_of(segment)
        if size is None:
            return _("not counted yet")
        return format_html(
            '<a href="{}" title="{}">{}</a>{}',
            reverse("admin:featureflags_segment_members", args=[segment.key]),
            counted_in_words(size),
            number_in_words(size),
            _trend(segment),
        )

    @admin.display(description=gettext_lazy("flags"))
    def flags(self, segment: Segment) -> str:
        """The flags that target it."""
        return told_in_short(getattr(segment, "flag_uses", None))


def _trend(segment: Segment) -> str:
    """A small line over the stored daily counts, and the change between first and last."""
    counts: list[SegmentCount] = getattr(segment, "daily_counts", [])
    if len(counts) < 2:
        return ""
    days = (counts[-1].day - counts[0].day).days
    told = ngettext("%(change)+d in %(days)d day", "%(change)+d in %(days)d days", days) % {
        "change": counts[-1].at_least - counts[0].at_least,
        "days": days,
    }
    return format_html(
        ' {}<div class="trend">{}</div>', sparkline([row.at_least for row in counts]), told
    )


def size_of(segment: Segment) -> SegmentSize | None:
    """The stored size; None if the segment was not counted yet."""
    return getattr(segment, "size", None)


def number_in_words(size: SegmentSize) -> str:
    """`1,234`, or that there are at least so many."""
    number = f"{size.at_least:,}"
    return number if size.is_exact else _("at least %s") % number


def counted_in_words(size: SegmentSize) -> str:
    """When it was counted, and whether the segment has changed since."""
    text = _("Counted %s") % moment_in_words(size.counted_at)
    return f"{text}. {_('It has changed since.')}" if size.is_outdated else text
