"""Values of our own operators in words: `14 days`, `this month`, `24 December`, `3 entries`.

For people only. A value that does not fit is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from featureflags.core.i18n import gettext, ngettext
from featureflags.core.i18n import gettext_noop as _
from featureflags.segments.date_values import PERIODS, TODAY, parse_day_of_year, parse_duration

PERIOD_WORDS: Final[Mapping[str, str]] = {
    "thisDay": _("today"),
    "lastDay": _("yesterday"),
    "thisWeek": _("this week"),
    "lastWeek": _("last week"),
    "thisMonth": _("this month"),
    "lastMonth": _("last month"),
    "thisQuarter": _("this quarter"),
    "lastQuarter": _("last quarter"),
    "thisYear": _("this year"),
    "lastYear": _("last year"),
}
"""Each of PERIODS."""

MONTH_WORDS: Final = (
    *(_("January"), _("February"), _("March"), _("April"), _("May"), _("June")),
    *(_("July"), _("August"), _("September"), _("October"), _("November"), _("December")),
)


def duration_in_words(value: object) -> str | None:
    """`14 days`; None if the value is not a duration."""
    if not isinstance(value, str) or parse_duration(value) is None:
        return None
    number, unit = int(value.strip("PTHDWMY")), value[-1]
    text = {
        "H": ngettext("%(number)s hour", "%(number)s hours", number),
        "D": ngettext("%(number)s day", "%(number)s days", number),
        "W": ngettext("%(number)s week", "%(number)s weeks", number),
        "M": ngettext("%(number)s month", "%(number)s months", number),
        "Y": ngettext("%(number)s year", "%(number)s years", number),
    }[unit]
    return text % {"number": f"{number:,}"}


def count_in_words(value: object) -> str | None:
    """`3 entries`; None if the value is not a number."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return ngettext("%(number)s entry", "%(number)s entries", value) % {"number": f"{value:,}"}


def period_in_words(value: object) -> str | None:
    """`this month`; None if the value is not the name of a period."""
    return gettext(PERIOD_WORDS[str(value)]) if value in PERIODS else None


def day_in_words(value: object) -> str | None:
    """`today` or `24 December`; None if the value is not a day of the year."""
    if value == TODAY:
        return gettext("today")
    day = parse_day_of_year(value)
    if day is None:
        return None
    return gettext("%(day)s %(month)s") % {"day": day[1], "month": gettext(MONTH_WORDS[day[0] - 1])}
