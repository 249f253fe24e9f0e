"""The list of segments: stored sizes with their trend, flags, members and rules. It never counts.

Hidden SQL: one query for the daily counts of all segments on the page.
"""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from featureflags.admin.charts import sparkline
from featureflags.admin.members.panel import list_address
from featureflags.admin.segments.owners import owner_in_short
from featureflags.admin.segments.used_by_flags import used_by_in_short, uses_by_segment
from featureflags.audience import daily_counts
from featureflags.editing import moment_in_words, rule_in_words
from featureflags.models import Segment, SegmentCount, SegmentSize
from featureflags.segments.parsing import load_rules

TREND_DAYS = 30
RULES_IN_LIST = 3
"""Rules that the list shows in words; it counts the others."""


class SegmentChangeList(ChangeList):
    """As Django's. Each segment of the page gets its daily counts and its flags."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        segments: list[Segment] = list(self.result_list)
        keys = [segment.key for segment in segments]
        found, uses = daily_counts(keys, days=TREND_DAYS), uses_by_segment(keys) or {}
        for segment in segments:
            segment.flag_uses = uses.get(segment.key)  # type: ignore[attr-defined]  # ours
            segment.daily_counts = found[segment.key]  # type: ignore[attr-defined]  # ours
        self.result_list = segments


@admin.display(description=gettext_lazy("segment"), ordering="key")
def key_and_name(segment: Segment) -> SafeString:
    """Both in one column, to leave space for the rules; with tags, owner and archive."""
    about = [*segment.tags, *([_("archived")] if segment.is_archived else [])]
    return format_html(
        '{}<span class="under">{}</span>{}{}',
        segment.key,
        segment.name,
        format_html_join("", ' <span class="segment-tag">{}</span>', ((each,) for each in about)),
        ""
        if segment.owner_id is None
        else format_html('<span class="under">{}</span>', _("Owner: %s") % owner_in_short(segment)),
    )


@admin.display(description=gettext_lazy("size"), ordering="size__at_least")
def size_in_words(segment: Segment) -> str:
    """The stored size, and its trend."""
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
def flags(segment: Segment) -> str:
    """The flags that target it."""
    return used_by_in_short(getattr(segment, "flag_uses", None))


@admin.display(description=gettext_lazy("by name"), ordering="members_counted")
def member_count(segment: Segment) -> str:
    """The number of memberships, as a link to them."""
    count = getattr(segment, "members_counted", 0)
    return format_html('<a href="{}">{}</a>', list_address(segment), count)


@admin.display(description=gettext_lazy("rules"))
def in_words(segment: Segment) -> str:
    """The first rules as sentences. Never raises, also for broken rules."""
    rules, problems = load_rules(segment.rules, segment.kind)
    if not rules:
        return _("Broken: %s") % problems[0] if problems else _("No rules")
    shown = [
        rule_in_words(rule, segment.kind) if rule.clauses else _("(a broken rule)")
        for rule in rules[:RULES_IN_LIST]
    ]
    text = _("; or ").join(shown)
    more = len(rules) - len(shown)
    if more:
        text += " " + ngettext("(and %d more rule)", "(and %d more rules)", more) % more
    return text


def _trend(segment: Segment) -> str:
    """A small line over the daily counts, and the difference between the first and the last."""
    counts: list[SegmentCount] = getattr(segment, "daily_counts", [])
    if len(counts) < 2:
        return ""
    days = (counts[-1].day - counts[0].day).days
    text = ngettext("%(change)+d in %(days)d day", "%(change)+d in %(days)d days", days) % {
        "change": counts[-1].at_least - counts[0].at_least,
        "days": days,
    }
    return format_html(
        ' {}<div class="trend">{}</div>', sparkline([row.at_least for row in counts]), text
    )


def size_of(segment: Segment) -> SegmentSize | None:
    """The stored size; None if the segment has not been counted yet."""
    return getattr(segment, "size", None)


def number_in_words(size: SegmentSize) -> str:
    """`1,234`, or `at least 1,234`."""
    number = f"{size.at_least:,}"
    return number if size.is_exact else _("at least %s") % number


def counted_in_words(size: SegmentSize) -> str:
    """When it was counted, and whether the segment has changed since."""
    text = _("Counted %s") % moment_in_words(size.counted_at)
    return f"{text}. {_('It has changed since.')}" if size.is_outdated else text
