"""The flags that target a segment: on its own page in words, and as a column of the list.

No events are sent. The list reads the flags once for all of its segments.
"""

from __future__ import annotations

from collections.abc import Collection

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from featureflags.evaluation import looking
from featureflags.inspection.flags_using_segment import Use, uses_of_each
from featureflags.launchdarkly.client import feature_store, has_flags

NAMED = 3
"""Flags that the list names; it counts the others."""


def uses_by_segment(keys: Collection[str]) -> dict[str, list[Use]] | None:
    """The flags that target each segment; None if LaunchDarkly has not sent any flags."""
    with looking():
        if not has_flags():
            return None
        return uses_of_each(keys, feature_store().raw())


def used_by_in_words(key: str) -> str:
    """For a segment's own page: each flag, in which way, and whether it decides for anybody now."""
    found = uses_by_segment([key])
    if found is None:
        return _("LaunchDarkly has not sent any flags.")
    if not found[key]:
        return _("No flag targets it.")
    off = _("It has no effect now: this flag, or one between, is off.")
    items = (
        (flag_address(use.flag), use.flag, use.words, "" if use.live else off) for use in found[key]
    )
    rows = format_html_join("", '<li><a href="{}"><strong>{}</strong></a>: {} {}</li>', items)
    return format_html('<ul class="used-by">{}</ul>', rows)


def used_by_in_short(uses: list[Use] | None) -> str | SafeString:
    """For the list: the flags by name, as links."""
    flags = list(dict.fromkeys(use.flag for use in uses or ()))
    if not flags:
        return "–"  # noqa: RUF001 - as Django's admin shows that there is nothing
    links = format_html_join(
        ", ", '<a href="{}">{}</a>', ((flag_address(flag), flag) for flag in flags[:NAMED])
    )
    more = len(flags) - NAMED
    return format_html("{} {}", links, _("and %d more") % more) if more > 0 else links


def flag_address(key: str) -> str:
    return reverse("admin:featureflags_flag", args=[key])
