"""Many members of a segment at once, pasted or uploaded: all of them or none, unless the person
chooses otherwise."""

from __future__ import annotations

from typing import Final

from django import forms
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from featureflags.admin.members.forms import ImportForm
from featureflags.admin.members.panel import list_link
from featureflags.admin.members.write import write_members
from featureflags.admin.shared.confirm import BACK
from featureflags.admin.shared.pages import (
    MEMBER,
    SEGMENT,
    model_of,
    require,
    require_to,
    respond,
    segment_or_404,
    segment_trail,
)
from featureflags.core.conf import app_settings
from featureflags.editing import stored_members
from featureflags.kinds.registry import kind_or_user
from featureflags.models import Segment

MOST_PROBLEMS: Final = 100
"""Problems of an import that are shown; the page counts the others."""


def import_members(request: HttpRequest, segment: str, *, site: AdminSite) -> HttpResponse:
    """The page, and the import that it asks for."""
    require(request, SEGMENT, MEMBER)
    require_to(request, MEMBER, "add")
    stored = segment_or_404(segment)
    kind = kind_or_user(stored.kind)
    require(request, model_of(kind))
    members = stored_members(stored.key)
    if request.method != "POST":
        return _page(request, site, stored, ImportForm(members, kind=kind))
    form = ImportForm(members, request.POST, request.FILES, kind=kind)
    is_valid = form.is_valid()
    _keep_text_of_file(request, form)
    if not is_valid or form.found is None or BACK in request.POST:
        return _page(request, site, stored, form)

    def refuse(why: str) -> HttpResponse:
        form.add_error(None, why)
        return _page(request, site, stored, form)

    return write_members(request, site, stored, form.wanted, refuse=refuse, remarks=_left_out(form))


def _keep_text_of_file(request: HttpRequest, form: ImportForm) -> None:
    """A browser sends a file once. Its text goes into the text field, so that the page can be sent
    again."""
    if not form.cleaned_data.get("file"):
        return
    try:
        text = form.text_of_file()
    except forms.ValidationError:
        return
    data = request.POST.copy()
    data["text"] = text
    request.POST = data  # type: ignore[assignment]  # Django sets it in the same way
    form.data = data


def _page(
    request: HttpRequest, site: AdminSite, segment: Segment, form: ImportForm
) -> HttpResponse:
    return respond(
        request,
        site,
        "admin/featureflags/members/bulk_upload.html",
        title=_("Import members by name: %s") % segment.key,
        trail=[*segment_trail(segment), list_link(segment)],
        segment=segment,
        form=form,
        media=form.media,
        problems=form.problems[:MOST_PROBLEMS],
        more_problems=max(0, len(form.problems) - MOST_PROBLEMS),
        repeated=() if form.found is None else form.found.repeated[:MOST_PROBLEMS],
        limit=app_settings().max_members,
    )


def _left_out(form: ImportForm) -> list[str]:
    """The users of the list who were not found, in one text."""
    if not form.problems:
        return []
    lines = [str(problem) for problem in form.problems[:MOST_PROBLEMS]]
    more = len(form.problems) - len(lines)
    return [" ".join([_("Left out:"), *lines, *([_("and %d more.") % more] if more else [])])]
