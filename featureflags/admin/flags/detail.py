"""One flag of LaunchDarkly: its rules in words, its segments, and how many users get each value.

Read only but for the counts (`featureflags.inspection.variation_counts`). No events are sent. The
permission to view segments allows to count a sample; to count all users, which is work for the
database, takes the permission to change segments.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from featureflags.admin.flags.counts import count_view
from featureflags.admin.flags.list import (
    Known,
    day_in_words,
    evaluated_in_words,
    flag_link,
    flags_link,
    known_flags,
)
from featureflags.admin.segments.columns import number_in_words, size_of
from featureflags.admin.shared.pages import (
    SEGMENT,
    Link,
    kinds_seen,
    may,
    require,
    require_to,
    respond,
)
from featureflags.cache.counters import Usage
from featureflags.core.conf import app_settings
from featureflags.core.publishing import publish
from featureflags.core.types import Account
from featureflags.inspection import variation_counts
from featureflags.inspection.checks import Facts, find_problems
from featureflags.inspection.flag_parsing import FlagView
from featureflags.models import FlagCount, Segment
from featureflags.segments.formatting import show
from featureflags.tasks import count_flag

UNUSED_DAYS = 30
"""As `check_flags` reports it."""

STEPS: Final = frozenset({".", ".."})
"""Browsers read these in a path as steps, quoted or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """One segment that a flag uses."""

    link: Link
    members: Link
    """To the list of its users, with the stored size as text; empty if it does not exist here."""
    ways: tuple[str, ...]
    is_live: bool


def flag_page(request: HttpRequest, flag: str, *, site: AdminSite) -> HttpResponse:
    """What is known about one flag."""
    require(request, SEGMENT)
    known = known_flags()
    served = known.served.get(flag)
    if served is None and flag not in known.declared:
        raise Http404(_("There is no flag with this key."))
    count = FlagCount.objects.filter(flag=flag).first()
    return respond(
        request,
        site,
        "admin/featureflags/flags/detail.html",
        title=flag,
        trail=[flags_link()],
        flag=flag,
        served=served,
        declared=known.declared.get(flag),
        facts=list(_facts(flag, known)),
        problems=_problems(flag, known),
        prerequisites=[] if served is None else _prerequisites(served),
        segments=_segments(flag, known),
        count=None if count is None else count_view(count, known),
        may_count_all=may(request, SEGMENT, "change"),
        may_explain=bool(kinds_seen(request)),
        sample_size=variation_counts.SAMPLE,
        launchdarkly=launchdarkly_address(flag) if served is not None else "",
        testers=app_settings().testers,
    )


def launchdarkly_address(flag: str) -> str:
    """The page of a flag in LaunchDarkly; empty where the settings name no project and environment."""
    found = app_settings()
    if not (
        found.project and found.environment and found.api_url.startswith(("https://", "http://"))
    ):
        return ""
    if not STEPS.isdisjoint({found.project, flag}):
        return ""  # LaunchDarkly has no such key, but a file of flags may.
    path = f"/projects/{quote(found.project, safe='')}/flags/{quote(flag, safe='')}/targeting"
    query = urlencode({"env": found.environment, "selected-env": found.environment})
    return f"{found.api_url.rstrip('/')}{path}?{query}"


@require_POST
def count_users(request: HttpRequest, flag: str, *, site: AdminSite) -> HttpResponse:
    """Start, continue or cancel a count, and go back to the flag."""
    del site
    require(request, SEGMENT)
    known = known_flags()
    if flag not in known.served and flag not in known.declared:
        raise Http404(_("There is no flag with this key."))
    how = request.POST.get("how", "sample")
    if how != "sample":
        require_to(request, SEGMENT, "change")
    by = request.user if isinstance(request.user, AbstractBaseUser) else None
    try:
        _do(how, flag, by)
    except variation_counts.AlreadyCounting:
        messages.warning(request, _("This flag is being counted already."))
    return HttpResponseRedirect(flag_link(flag).href + "#count")


def _do(how: str, flag: str, by: Account | None) -> None:
    if how == "sample":
        variation_counts.count_sample(flag, by=by)
    elif how == "everybody":
        publish(count_flag, variation_counts.begin(flag, by=by).pk)
    else:
        running = FlagCount.objects.filter(flag=flag, state=FlagCount.State.RUNNING).first()
        if running is not None:
            if how == "cancel":
                variation_counts.cancel(running.pk)
            else:
                publish(count_flag, running.pk)


def _facts(flag: str, known: Known) -> Iterator[tuple[str, str]]:
    """Label and text."""
    served, declared = known.served.get(flag), known.declared.get(flag)
    if declared is None:
        yield _("Declared in code"), _("No")
    else:
        yield _("Declared in code"), _("As %s") % declared.type.value
        yield _("Default in code"), show(declared.default)
        yield _("Owner"), declared.owner
    if served is not None:
        yield _("Values"), ", ".join(show(value) for value in served.variations)
        yield _("While it is off"), served.off.words
        yield _("Browsers may see it"), _("Yes") if served.client_side else _("No")
        yield _("Version"), str(served.version)
    only_there = _("Only LaunchDarkly's REST API knows. %s") % known.dates.problem
    yield _("Last changed"), known.changed(flag) or only_there.strip()
    yield _("Last evaluated"), evaluated_in_words(flag, known.usage) or _never(known.usage)


def _never(counted: Usage) -> str:
    if counted.failed:
        return _("The cache does not answer.")
    if counted.since is None:
        return _("No evaluation has been counted yet.")
    return _("Not since %s, when counting began") % day_in_words(counted.since)


def _problems(flag: str, known: Known) -> list[str]:
    facts = Facts(
        declared=known.declared,
        segments=known.segments,
        usage=known.usage,
        today=datetime.datetime.now(datetime.UTC).date(),
        days=UNUSED_DAYS,
    )
    return [each.words for each in find_problems(known.data, facts) if each.flag == flag]


def _prerequisites(served: FlagView) -> list[tuple[Link, str]]:
    return [(flag_link(each.flag), each.words) for each in served.prerequisites]


def _segments(flag: str, known: Known) -> list[SegmentRow]:
    """The segments that a flag uses, with their stored sizes: one query."""
    uses = known.uses.get(flag, [])
    keys = list(dict.fromkeys(use.segment for use in uses))
    stored = {
        segment.key: segment
        for segment in Segment.objects.filter(key__in=keys).select_related("size")
    }
    return [
        SegmentRow(
            link=link,
            members=_members(stored.get(link.text)),
            ways=tuple(use.words for use in uses if use.segment == link.text),
            is_live=any(use.live for use in uses if use.segment == link.text),
        )
        for link in known.links(keys)
    ]


def _members(segment: Segment | None) -> Link:
    if segment is None:
        return Link(text="")
    size = size_of(segment)
    return Link(
        text=_("not counted yet") if size is None else number_in_words(size),
        href=reverse("admin:featureflags_segment_members", args=[segment.key]),
    )
