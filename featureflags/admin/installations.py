"""Segments compared with another installation, and carried there or from there, in the admin.

The address and the key of the other installation come from the setting `INSTALLATIONS`, and are in no page.
Staff who may view segments compare; those who may add and change them carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.admin.shared.confirm import (
    KEY,
    Question,
    confirmation_page,
    is_confirmed_here,
    note_of,
)
from featureflags.admin.shared.pages import (
    SEGMENT,
    Link,
    may,
    require,
    require_to,
    respond,
    segments_link,
)
from featureflags.editing import NotImportable, import_segments
from featureflags.editing.installations import (
    Difference,
    Installation,
    InstallationError,
    configured,
    differences,
    examine_there,
    pull_document,
    push,
)

TO, FROM = "to", "from"


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
    try:
        found = differences(other.segments())
        if request.method == "POST":
            return _carry(request, site, other, found)
    except InstallationError as error:
        messages.error(request, str(error))
        found = []
    return respond(
        request,
        site,
        "admin/featureflags/installations/compare.html",
        title=_("Segments here and in %s") % name,
        trail=[segments_link(), _list_link()],
        name=name,
        rows=[_row(each) for each in found],
        may_carry=may(request, SEGMENT, "add", "change"),
    )


def _carry(
    request: HttpRequest, site: AdminSite, other: Installation, found: Sequence[Difference]
) -> HttpResponse:
    """Raises PermissionDenied and InstallationError."""
    require_to(request, SEGMENT, "add", "change")
    keys = set(request.POST.getlist("segment"))
    to_there = request.POST.get("way") == TO
    chosen = [
        each
        for each in found
        if each.key in keys and (each.here if to_there else each.there) is not None
    ]
    if not chosen:
        messages.error(request, _("Choose segments that are on the side that is read."))
        return HttpResponseRedirect(_address(other.name))
    if to_there:
        return _push(request, site, other, chosen)
    return _pull(request, site, other, chosen)


def _pull(
    request: HttpRequest, site: AdminSite, other: Installation, chosen: Sequence[Difference]
) -> HttpResponse:
    document = pull_document(chosen)
    try:
        planned = import_segments(document, dry_run=True)
        if planned and not is_confirmed_here(request, planned):
            question = Question(
                examinations=planned,
                title=_("Write here what is in %s?") % other.name,
                trail=[segments_link(), _list_link(), _link(other.name)],
                back=_address(other.name),
                verb=_("Write here"),
            )
            return confirmation_page(request, site, question)
        import_segments(document, note=note_of(request), expected=planned)
    except NotImportable as error:
        for problem in error.problems:
            messages.error(request, problem)
        return HttpResponseRedirect(_address(other.name))
    text = ngettext("%d segment was written here.", "%d segments were written here.", len(planned))
    messages.success(request, text % len(planned))
    return HttpResponseRedirect(_address(other.name))


def _push(
    request: HttpRequest, site: AdminSite, other: Installation, chosen: Sequence[Difference]
) -> HttpResponse:
    tokens = dict(zip(request.POST.getlist("seen"), request.POST.getlist("token"), strict=False))
    examined = examine_there(other, chosen)
    typed = {text.strip() for text in request.POST.getlist(KEY)}
    missing = {one.key for one in examined if one.needs_key} - typed
    if not tokens or missing or any(one.key not in tokens for one in examined):
        return respond(
            request,
            site,
            "admin/featureflags/installations/push.html",
            title=_("Write to %s?") % other.name,
            trail=[segments_link(), _list_link(), _link(other.name)],
            examined=examined,
            name=other.name,
            wrong=missing if tokens else set(),
            back=_address(other.name),
            note=note_of(request),
        )
    confirms = {one.key: one.key if one.needs_key else tokens[one.key] for one in examined}
    done = push(other, chosen, note=note_of(request), confirms=confirms)
    if done.written:
        text = ngettext(
            "%(count)d segment was written to %(name)s.",
            "%(count)d segments were written to %(name)s.",
            len(done.written),
        )
        messages.success(request, text % {"count": len(done.written), "name": other.name})
    if done.problem:
        shown = {"key": done.stopped_at, "problem": done.problem}
        messages.error(request, _("It stopped at %(key)s: %(problem)s") % shown)
    return HttpResponseRedirect(_address(other.name))


def _row(each: Difference) -> DifferenceRow:
    state = each.here or each.there
    where = _("differs")
    if each.there is None:
        where = _("only here")
    elif each.here is None:
        where = _("only there")
    return DifferenceRow(
        key=each.key,
        name="" if state is None else state.name,
        where=where,
        lines=each.lines(to_there=True) if each.here and each.there else (),
    )


def _address(name: str) -> str:
    return reverse("admin:featureflags_installation", args=[name])


def _list_link() -> Link:
    return Link(text=_("Other installations"), href=reverse("admin:featureflags_installations"))


def _link(name: str) -> Link:
    return Link(text=name, href=_address(name))
