"""LaunchDarkly's flags, read only: whom they target, which segments they use, and their usage.

What they are is decided in LaunchDarkly. These pages only look: no event goes out. Hidden SQL: the
keys of the segments; LaunchDarkly's REST API is asked when flags last changed, where it may be.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from django import forms
from django.contrib.admin import AdminSite
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.segments.used_by_flags import flag_address
from featureflags.admin.shared.pages import SEGMENT, Link, require, respond
from featureflags.cache import counters
from featureflags.cache.counters import Usage
from featureflags.core.conf import app_settings
from featureflags.editing import moment_in_words
from featureflags.evaluation import looking
from featureflags.flags.declared import Flag, declared_flags
from featureflags.inspection.dates import KnownDates, flag_dates
from featureflags.inspection.flag_parsing import FlagView, RawData
from featureflags.inspection.flag_parsing import flags as flags_of
from featureflags.inspection.flags_using_segment import Use, uses_by_flag
from featureflags.launchdarkly.client import feature_store, has_flags
from featureflags.models import Segment

PAGE_SIZE: Final = 50
SENTENCES: Final = 3
"""Sentences about the targeting; the list counts the others."""


class State:
    """The filters of the list."""

    ON, OFF, UNDECLARED, MISSING = "on", "off", "undeclared", "missing"


class FlagFilter(forms.Form):
    """An invalid value is ignored."""

    q = forms.CharField(
        required=False,
        label=gettext_lazy("Search"),
        widget=forms.TextInput(attrs={"type": "search", "size": 20}),
    )
    state = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Flags"),
        choices=[
            ("", gettext_lazy("all")),
            (State.ON, gettext_lazy("on")),
            (State.OFF, gettext_lazy("off")),
            (State.UNDECLARED, gettext_lazy("not declared in code")),
            (State.MISSING, gettext_lazy("missing in LaunchDarkly")),
        ],
    )

    def fits(self, key: str, served: FlagView | None, declared: Flag | None) -> bool:
        self.is_valid()
        sought = self.cleaned_data.get("q", "").strip().lower()
        texts = (key, "" if declared is None else declared.description)
        if sought and not any(sought in text.lower() for text in texts):
            return False
        wanted = self.cleaned_data.get("state", "")
        return {
            State.ON: served is not None and served.on,
            State.OFF: served is not None and not served.on,
            State.UNDECLARED: declared is None,
            State.MISSING: served is None,
        }.get(wanted, True)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagRow:
    """One flag, in words."""

    link: Link
    description: str
    is_on: bool | None
    """None: LaunchDarkly does not have it."""
    targeting: tuple[str, ...]
    more: int
    """The number of further sentences."""
    segments: tuple[Link, ...]
    is_declared: bool
    changed: str
    evaluated: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that the pages show about all flags."""

    data: RawData
    uses: Mapping[str, list[Use]]
    """Our segments that each flag uses, and in which ways."""
    served: Mapping[str, FlagView]
    declared: Mapping[str, Flag]
    usage: Usage
    dates: KnownDates
    segments: Mapping[str, int]
    """Primary keys of our segments, by key."""

    def row(self, key: str) -> FlagRow:
        served, declared = self.served.get(key), self.declared.get(key)
        sentences = () if served is None else _targeting(served)
        return FlagRow(
            link=flag_link(key),
            description="" if declared is None else declared.description,
            is_on=None if served is None else served.on,
            targeting=sentences[:SENTENCES],
            more=max(0, len(sentences) - SENTENCES),
            segments=self.links(use.segment for use in self.uses.get(key, ())),
            is_declared=declared is not None,
            changed=self.changed(key),
            evaluated=evaluated_in_words(key, self.usage),
        )

    def links(self, keys: Iterable[str]) -> tuple[Link, ...]:
        """To the segments. One that does not exist here leads nowhere."""
        return tuple(Link(text=key, href=self._address(key)) for key in dict.fromkeys(keys))

    def changed(self, key: str) -> str:
        """When a flag last changed; empty if that is not known."""
        dates, served = self.dates.flags.get(key), self.served.get(key)
        if dates is None or dates.changed_at is None:
            return ""
        moment = moment_in_words(dates.changed_at)
        is_newer = served is not None and served.version > (dates.version or 0)
        return _("after %s") % moment if is_newer else moment

    def _address(self, key: str) -> str:
        pk = self.segments.get(key)
        return "" if pk is None else reverse("admin:featureflags_segment_change", args=[pk])


def flag_list(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """All flags that LaunchDarkly serves or that are declared, by key."""
    require(request, SEGMENT)
    known = known_flags()
    form = FlagFilter(request.GET)
    keys = [
        key
        for key in sorted({*known.served, *known.declared})
        if form.fits(key, known.served.get(key), known.declared.get(key))
    ]
    page = Paginator(keys, PAGE_SIZE).get_page(request.GET.get("page"))
    return respond(
        request,
        site,
        "admin/featureflags/flags/list.html",
        title=_("Flags"),
        form=form,
        page=page,
        rows=[known.row(key) for key in page],
        is_filtered=any(request.GET.get(name) for name in form.fields),
        has_flags=has_known_flags(),
        dates_problem=known.dates.problem,
        changed_at=_store_changed_at(),
        since=known.usage.since,
        usage_failed=known.usage.failed,
        testers=app_settings().testers,
    )


def known_flags() -> Known:
    """What is known about all flags now."""
    with looking():
        data = feature_store().raw()
    return Known(
        data=data,
        uses=uses_by_flag(data),
        served={flag.key: flag for flag in flags_of(data)},
        declared=declared_flags(),
        usage=counters.read_usage(),
        dates=flag_dates(),
        segments=dict(Segment.objects.values_list("key", "pk")),
    )


def has_known_flags() -> bool:
    with looking():
        return has_flags()


def flag_link(key: str) -> Link:
    return Link(text=key, href=flag_address(key))


def flags_link() -> Link:
    return Link(text=_("Flags"), href=reverse("admin:featureflags_flags"))


def evaluated_in_words(key: str, counted: Usage) -> str:
    """When a flag was last evaluated, and how often; empty if it was not counted."""
    last = counted.last.get(key)
    if last is None:
        return ""
    return _("%(day)s, %(times)s times") % {
        "day": day_in_words(last),
        "times": f"{counted.total[key]:,}",
    }


def day_in_words(day: datetime.date) -> str:
    return formats.date_format(day, "SHORT_DATE_FORMAT")


def _targeting(flag: FlagView) -> tuple[str, ...]:
    if flag.on:
        return flag.targeting
    return (_("everybody → %s") % flag.off.words,)


def _store_changed_at() -> str:
    with looking():
        changed_at = feature_store().changed_at
    return "" if changed_at is None else moment_in_words(changed_at)
