"""Segments promoted to another installation, or from it: the page that asks first, and the write.

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
    Question,
    confirmation_page,
    is_confirmed_here,
    note_of,
)
from featureflags.admin.shared.kept_choice import Choice, keep, take
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
from featureflags.editing import Approval, NotImportable
from featureflags.editing.installations import (
    PROMOTED,
    Difference,
    Examined,
    Installation,
    InstallationError,
    Pull,
    Push,
    problem_of,
    refuse_problems,
)

TO, FROM = "to", "from"
MEMBERS, TOKEN = "members", "_token"
MEMBER_VERBS = ("add", "change", "delete")
CONFLICT = 409


def promote(
    request: HttpRequest, site: AdminSite, other: Installation, found: Sequence[Difference]
) -> HttpResponse:
    """Raises PermissionDenied and InstallationError."""
    _require_to_promote(request)
    keys, to_there = set(request.POST.getlist("segment")), request.POST.get("way") == TO
    chosen = [each for each in found if each.key in keys and each.may_go(to_there=to_there)]
    if not chosen:
        messages.error(request, _("Choose segments that are on the side that is read."))
        return back_to(request, other)
    if not to_there:
        return _pull(request, site, other, Pull.of(chosen, with_members=MEMBERS in request.POST))
    refuse_problems(chosen)
    return _ask_there(request, site, other, [each.key for each in chosen])


def _require_to_promote(request: HttpRequest) -> None:
    """Raises PermissionDenied."""
    require_to(request, SEGMENT, "add", "change")
    if MEMBERS in request.POST:
        require_to(request, MEMBER, *MEMBER_VERBS)


def _pull(request: HttpRequest, site: AdminSite, other: Installation, pull: Pull) -> HttpResponse:
    note = note_of(request)
    try:
        planned = pull.examine()
        if planned and not is_confirmed_here(request, planned):
            question = Question(
                examinations=planned,
                title=_("Promote from %s to here?") % other.name,
                remarks=[f"{line}." for line in pull.left_out(sees=kinds_seen(request))],
                trail=[segments_link(), list_link(), _link(other.name)],
                verb=_("Promote to here"),
            )
            return confirmation_page(request, site, question)
        approval = approval_or_plan(request, planned, PROMOTED, note)
        pull.write(planned, note=note, approval=approval)
    except Planned as later:
        if later.due_at is not None:
            return plan_instead(request, later)
        return _propose_here(request, other, pull, later)
    except NotImportable as error:
        return _not_written(request, other, error)
    _say_written(request, len(planned))
    return HttpResponseRedirect(address_of(other.name))


def _propose_here(
    request: HttpRequest, other: Installation, pull: Pull, planned: Planned
) -> HttpResponse:
    """What needs an approval here is proposed, and the rest written: all of it, or nothing."""
    approval, examined = Approval(author=user_of(request)), planned.examinations
    try:
        pull.write(examined, note=planned.note, approval=approval)
    except NotImportable as error:
        return _not_written(request, other, error)
    proposed = [one.key for one in examined if one.needs_approval]
    _say_written(request, len(examined) - len(proposed))
    text = _("Proposed here, because a flag that is on uses them: %s. They wait for an approval.")
    messages.success(request, text % ", ".join(proposed))
    return HttpResponseRedirect(reverse("admin:featureflags_proposals"))


def _not_written(request: HttpRequest, other: Installation, error: NotImportable) -> HttpResponse:
    for problem in error.problems:
        messages.error(request, problem)
    return back_to(request, other)


def back_to(request: HttpRequest, other: Installation) -> HttpResponse:
    """Back to the page that compares, with the segments that were chosen there."""
    choice = choice_of(request)
    keep(request, sorted(choice.rows), choice.typed)
    return HttpResponseRedirect(address_of(other.name))


def choice_of(request: HttpRequest) -> Choice:
    """What was chosen on the page that compares; for a GET, what was kept."""
    if request.method != "POST":
        return take(request)
    typed = {MEMBERS: "1"} if MEMBERS in request.POST else {}
    return Choice(rows=frozenset(request.POST.getlist("segment")), typed=typed)


def _say_written(request: HttpRequest, number: int) -> None:
    if number:
        text = ngettext(
            "%d segment was promoted to here.", "%d segments were promoted to here.", number
        )
        messages.success(request, text % number)


def _ask_there(
    request: HttpRequest,
    site: AdminSite,
    other: Installation,
    keys: Sequence[str],
    problem: str = "",
) -> HttpResponse:
    """The page that shows what the other side says. Raises InstallationError."""
    push = _push(request, other, keys)
    examined = push.examine()
    if not examined.segments:
        messages.info(request, _("Nothing would change there."))
        return HttpResponseRedirect(address_of(other.name))
    typed = _typed(request)
    return respond(
        request,
        site,
        "admin/featureflags/installations/push.html",
        title=_("Promote to %s?") % other.name,
        trail=[segments_link(), list_link(), _link(other.name)],
        examined=examined,
        keys=keys,
        with_members=push.with_members,
        name=other.name,
        problem=problem,
        wrong=set(examined.keys_to_type) - typed if TOKEN in request.POST else set(),
        note=note_of(request),
    )


def push_confirmed(request: HttpRequest, site: AdminSite, other: Installation) -> HttpResponse:
    """Raises PermissionDenied and InstallationError."""
    _require_to_promote(request)
    keys = request.POST.getlist("segment")
    push = _push(request, other, keys)
    try:
        done = push.write(token=request.POST[TOKEN], keys=_typed(request), note=note_of(request))
    except InstallationError as error:
        if error.status != CONFLICT:
            raise
        return _ask_there(request, site, other, keys, problem_of(error))
    _say_pushed(request, other, done)
    return HttpResponseRedirect(address_of(other.name))


def _push(request: HttpRequest, other: Installation, keys: Sequence[str]) -> Push:
    named = kinds_seen(request)
    return Push.of(other, keys, named=named, with_members=MEMBERS in request.POST)


def _say_pushed(request: HttpRequest, other: Installation, done: Examined) -> None:
    number = len(done.segments) - len(done.proposed)
    if number:
        text = ngettext(
            "%(count)d segment was promoted to %(name)s.",
            "%(count)d segments were promoted to %(name)s.",
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
