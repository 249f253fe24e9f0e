"""Segments carried to another installation, or from it: the page that asks first, and the write.

What is written is one document, all of it or nothing. What needs an approval becomes a proposal on the side that
is written to.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.admin.shared.confirm import (
    KEY,
    SOURCE,
    Question,
    confirmation_page,
    is_confirmed_here,
    note_of,
)
from featureflags.admin.shared.pages import (
    MEMBER,
    SEGMENT,
    Link,
    kinds_seen,
    require_to,
    respond,
    segments_link,
    user_of,
)
from featureflags.admin.shared.planning import Planned, approval_or_plan, plan_instead
from featureflags.editing import Approval, NotImportable, import_segments
from featureflags.editing.installations import (
    Difference,
    Examined,
    Installation,
    InstallationError,
    examine_there,
    problem_of,
    pull_document,
    push,
    refuse_problems,
    send,
)

TO, FROM = "to", "from"
MEMBERS, TOKEN = "members", "_token"
MEMBER_VERBS = ("add", "change", "delete")
CONFLICT = 409


def carry(
    request: HttpRequest, site: AdminSite, other: Installation, found: Sequence[Difference]
) -> HttpResponse:
    """Raises PermissionDenied and InstallationError."""
    _require_to_carry(request)
    keys = set(request.POST.getlist("segment"))
    to_there = request.POST.get("way") == TO
    chosen = [
        each
        for each in found
        if each.key in keys and (each.problems or each.here if to_there else each.there)
    ]
    if not chosen:
        messages.error(request, _("Choose segments that are on the side that is read."))
        return HttpResponseRedirect(address_of(other.name))
    refuse_problems(chosen)
    if to_there:
        return _ask_there(request, site, other, [each.key for each in chosen])
    return _pull(request, site, other, chosen)


def _require_to_carry(request: HttpRequest) -> None:
    """Raises PermissionDenied."""
    require_to(request, SEGMENT, "add", "change")
    if MEMBERS in request.POST:
        require_to(request, MEMBER, *MEMBER_VERBS)


def _pull(
    request: HttpRequest, site: AdminSite, other: Installation, chosen: Sequence[Difference]
) -> HttpResponse:
    with_members = MEMBERS in request.POST
    document = pull_document(chosen, with_members=with_members)
    back, note = address_of(other.name), note_of(request)
    try:
        planned = import_segments(document, dry_run=True)
        if planned and not is_confirmed_here(request, planned):
            question = Question(
                examinations=planned,
                title=_("Write here what is in %s?") % other.name,
                remarks=_left_out(request, chosen) if with_members else (),
                trail=[segments_link(), list_link(), _link(other.name)],
                back=back,
                verb=_("Write here"),
            )
            return confirmation_page(request, site, question)
        approval = approval_or_plan(request, planned, SOURCE, note)
        import_segments(document, note=note, expected=planned, approval=approval)
    except Planned as later:
        if later.due_at is not None:
            return plan_instead(request, later)
        return _propose_here(request, other, document, later)
    except NotImportable as error:
        _show_problems(request, error)
        return HttpResponseRedirect(back)
    _say_written(request, len(planned))
    return HttpResponseRedirect(back)


def _propose_here(
    request: HttpRequest, other: Installation, document: object, planned: Planned
) -> HttpResponse:
    """What needs an approval here is proposed, and the rest written: all of it, or nothing."""
    approval, examined = Approval(author=user_of(request)), planned.examinations
    try:
        import_segments(document, note=planned.note, expected=examined, approval=approval)
    except NotImportable as error:
        _show_problems(request, error)
        return HttpResponseRedirect(address_of(other.name))
    proposed = [one.key for one in examined if one.needs_approval]
    _say_written(request, len(examined) - len(proposed))
    text = _("Proposed here, because a flag that is on uses them: %s. They wait for an approval.")
    messages.success(request, text % ", ".join(proposed))
    return HttpResponseRedirect(reverse("admin:featureflags_proposals"))


def _say_written(request: HttpRequest, number: int) -> None:
    if number:
        text = ngettext("%d segment was written here.", "%d segments were written here.", number)
        messages.success(request, text % number)


def _show_problems(request: HttpRequest, error: NotImportable) -> None:
    for problem in error.problems:
        messages.error(request, problem)


def _left_out(request: HttpRequest, chosen: Sequence[Difference]) -> list[str]:
    sees = kinds_seen(request)
    return [
        f"{each.key}: {text}."
        for each in chosen
        for text in each.left_out.words(with_names=each.left_out.kind in sees)
    ]


def _ask_there(
    request: HttpRequest,
    site: AdminSite,
    other: Installation,
    keys: Sequence[str],
    problem: str = "",
) -> HttpResponse:
    """The page that shows what the other side says. Raises InstallationError."""
    with_members = MEMBERS in request.POST
    sent = send(keys, kinds_seen(request), with_members=with_members)
    examined = examine_there(other, sent, with_members=with_members)
    if not examined.segments:
        messages.info(request, _("Nothing would change there."))
        return HttpResponseRedirect(address_of(other.name))
    typed = _typed(request)
    return respond(
        request,
        site,
        "admin/featureflags/installations/push.html",
        title=_("Write to %s?") % other.name,
        trail=[segments_link(), list_link(), _link(other.name)],
        examined=examined,
        keys=keys,
        with_members=with_members,
        name=other.name,
        problem=problem,
        wrong=set(examined.keys_to_type) - typed if TOKEN in request.POST else set(),
        back=address_of(other.name),
        note=note_of(request),
    )


def push_confirmed(request: HttpRequest, site: AdminSite, other: Installation) -> HttpResponse:
    """Raises PermissionDenied and InstallationError."""
    _require_to_carry(request)
    with_members, keys = MEMBERS in request.POST, request.POST.getlist("segment")
    sent = send(keys, kinds_seen(request), with_members=with_members)
    try:
        done = push(
            other,
            sent,
            with_members=with_members,
            token=request.POST[TOKEN],
            keys=_typed(request),
            note=note_of(request),
        )
    except InstallationError as error:
        if error.status != CONFLICT:
            raise
        return _ask_there(request, site, other, keys, problem_of(error))
    _say_pushed(request, other, done)
    return HttpResponseRedirect(address_of(other.name))


def _say_pushed(request: HttpRequest, other: Installation, done: Examined) -> None:
    number = len(done.segments) - len(done.proposed)
    if number:
        text = ngettext(
            "%(count)d segment was written to %(name)s.",
            "%(count)d segments were written to %(name)s.",
            number,
        )
        messages.success(request, text % {"count": number, "name": other.name})
    if done.proposed:
        text = _("Proposed in %(name)s, where somebody else must approve it: %(keys)s.")
        shown = {"name": other.name, "keys": ", ".join(done.proposed)}
        messages.success(request, text % shown)


def _typed(request: HttpRequest) -> set[str]:
    return {text.strip() for text in request.POST.getlist(KEY)} - {""}


def address_of(name: str) -> str:
    """The page that compares with this installation."""
    return reverse("admin:featureflags_installation", args=[name])


def list_link() -> Link:
    """To the installations of the setting."""
    return Link(text=_("Other installations"), href=reverse("admin:featureflags_installations"))


def _link(name: str) -> Link:
    return Link(text=name, href=address_of(name))
