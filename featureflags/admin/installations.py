"""Segments compared with another installation, and promoted there or from there, in the admin.

The address and the key of the other installation come from the setting `INSTALLATIONS`, and are in no page.
Staff who may view segments compare; those who may add and change them promote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from featureflags.admin.promoting import (
    MEMBER_VERBS,
    TOKEN,
    back_to,
    choice_of,
    list_link,
    promote,
    push_confirmed,
)
from featureflags.admin.shared.confirm import BACK
from featureflags.admin.shared.pages import (
    MEMBER,
    SEGMENT,
    kinds_seen,
    may,
    require,
    respond,
    segments_link,
)
from featureflags.editing.installations import (
    Difference,
    InstallationError,
    compare,
    configured,
    problem_of,
)

MOST_SHOWN = 200
"""Segments that differ on one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """One segment that differs."""

    key: str
    name: str
    where: str
    lines: Sequence[str]


def installations(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The installations of the setting, by name."""
    require(request, SEGMENT)
    return respond(
        request,
        site,
        "admin/featureflags/installations/list.html",
        title=_("Other installations"),
        trail=[segments_link()],
        names=sorted(configured()),
    )


def installation(request: HttpRequest, name: str, *, site: AdminSite) -> HttpResponse:
    """What differs. A POST examines the segments that were chosen, and writes them once that is confirmed."""
    require(request, SEGMENT)
    other = configured().get(name)
    if other is None:
        raise Http404(_("The setting INSTALLATIONS has no such name."))
    found: list[Difference] | None = None
    if BACK in request.POST:
        return back_to(request, other)
    try:
        if request.method == "POST" and TOKEN in request.POST:
            return push_confirmed(request, site, other)
        found = compare(other, seen=kinds_seen(request))
        if request.method == "POST":
            return promote(request, site, other, found)
    except InstallationError as error:
        messages.error(request, problem_of(error))
    sees = kinds_seen(request)
    return respond(
        request,
        site,
        "admin/featureflags/installations/compare.html",
        title=_("Segments here and in %s") % name,
        trail=[segments_link(), list_link()],
        name=name,
        is_known=found is not None,
        rows=[_row(each, sees) for each in (found or [])[:MOST_SHOWN]],
        chosen=choice_of(request),
        more=max(0, len(found or ()) - MOST_SHOWN),
        may_promote=may(request, SEGMENT, "add", "change"),
        may_promote_members=may(request, MEMBER, *MEMBER_VERBS),
    )


def _row(each: Difference, sees: frozenset[str]) -> DifferenceRow:
    found = each.here or each.there
    where = _("only in members") if each.is_of_members_only else _("differs")
    if each.problems:
        where = _("cannot be compared")
    elif each.there is None:
        where = _("only here")
    elif each.here is None:
        where = _("only there")
    sees_people = found is not None and found.definition.kind in sees
    lines = list(each.problems)
    if not lines and each.here and each.there:
        lines = each.lines(to_there=True, with_members=True, with_addresses=sees_people)
    lines += each.left_out.words(with_names=sees_people)
    return DifferenceRow(
        key=each.key, name="" if found is None else found.name, where=where, lines=lines
    )
