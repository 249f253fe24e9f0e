"""What one does with a whole segment: copy it, freeze it into a list, archive it.

The page takes the permission to view segments, and offers what its reader may do. Each act is examined
like any other change, and asks where it must; freezing always shows first what it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.models import ADDITION, CHANGE
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.segments.columns import number_in_words, size_of
from featureflags.admin.shared.confirm import (
    NeedsConfirmation,
    Question,
    confirmation_page,
    is_confirmed_here,
    write,
)
from featureflags.admin.shared.pages import (
    MEMBER,
    SEGMENT,
    change_link,
    log_change,
    may,
    require,
    require_to,
    respond,
    segment_or_404,
    segment_trail,
    user_of,
)
from featureflags.admin.shared.planning import Planned, plan_instead
from featureflags.core.conf import app_settings
from featureflags.editing import Change, archival_of, copy_of, examine, free_key, frozen
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment, SegmentMember

TEMPLATE: Final = "admin/featureflags/segments/more.html"


class CopyForm(forms.Form):
    """Key and name of the copy."""

    key = forms.CharField(
        max_length=100,
        label=gettext_lazy("Key"),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocapitalize": "off"}),
        help_text=gettext_lazy("What LaunchDarkly rules name. It cannot change once it is saved."),
    )
    name = forms.CharField(
        max_length=200,
        label=gettext_lazy("Name"),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    members = forms.BooleanField(
        required=False, initial=True, label=gettext_lazy("With the members by name")
    )


def more(request: HttpRequest, segment: str, *, site: AdminSite) -> HttpResponse:
    """The page, and what its forms send."""
    require(request, SEGMENT)
    stored = segment_or_404(segment)
    asked = _ACTS.get(request.POST.get("do", "")) if request.method == "POST" else None
    if asked is not None:
        try:
            return asked(request, stored, site)
        except Planned as planned:
            return plan_instead(request, planned)
        except NeedsConfirmation as question:
            return _ask(request, stored, site, question)
        except ValidationError as error:
            for problem in error.messages:
                messages.error(request, problem)
    return _page(request, stored, site, _copy_form(request, stored))


def _page(request: HttpRequest, stored: Segment, site: AdminSite, form: CopyForm) -> HttpResponse:
    size = size_of(Segment.objects.select_related("size").get(pk=stored.pk))
    return respond(
        request,
        site,
        TEMPLATE,
        title=_("More for %s") % stored.key,
        trail=segment_trail(stored),
        segment=stored,
        form=form if may(request, SEGMENT, "add") else None,
        may_change=may(request, SEGMENT, "change"),
        may_list=may(request, MEMBER, "add", "change"),
        size=None if size is None else number_in_words(size),
        limit=f"{app_settings().max_members:,}",
    )


def _copy_form(request: HttpRequest, stored: Segment) -> CopyForm:
    if request.method == "POST" and request.POST.get("do") == "copy":
        return CopyForm(request.POST)
    initial = {"key": free_key(stored.key), "name": _("Copy of %s") % stored.name}
    return CopyForm(initial=initial)


def _copy(request: HttpRequest, stored: Segment, site: AdminSite) -> HttpResponse:
    require_to(request, SEGMENT, "add")
    form = CopyForm(request.POST)
    if not form.is_valid():
        return _page(request, stored, site, form)
    sent = form.cleaned_data
    has_members = sent["members"] and SegmentMember.objects.filter(segment=stored.pk).exists()
    if has_members:
        require_to(request, MEMBER, "add")
    try:
        change = copy_of(
            stored,
            key=sent["key"],
            name=sent["name"],
            owner=user_kind().key_of(user_of(request)),
            with_members=has_members,
        )
    except ValidationError as error:
        for name, problems in _by_field(error, form).items():
            form.add_error(name, problems)
        return _page(request, stored, site, form)
    write(request, change)
    made = segment_or_404(change.key)
    log_change(request, made.pk, f"Copied from {stored.key}.", ADDITION)
    messages.success(request, _("“%(key)s” is a copy of “%(old)s”.") % _keys(made, stored))
    return HttpResponseRedirect(change_link(made.pk, made.key).href)


def _by_field(error: ValidationError, form: forms.Form) -> Mapping[str | None, list[Any]]:
    found: dict[str | None, list[Any]] = {}
    for name, problems in error.error_dict.items():
        found.setdefault(name if name in form.fields else None, []).extend(problems)
    return found


def _keys(made: Segment, stored: Segment) -> dict[str, str]:
    return {"key": made.key, "old": stored.key}


def _freeze(request: HttpRequest, stored: Segment, site: AdminSite) -> HttpResponse:
    require_to(request, SEGMENT, "change")
    require_to(request, MEMBER, "add", "change")
    change = frozen(stored)
    examined = examine(change, with_flags=True)
    if not is_confirmed_here(request, [examined]):
        question = Question(
            examinations=[examined],
            title=_("Freeze %s into a list?") % stored.key,
            trail=segment_trail(stored),
            back=request.get_full_path(),
            remarks=[
                _("Nobody enters or leaves by themselves any more. The history can restore it.")
            ],
            verb=_("Freeze"),
        )
        return confirmation_page(request, site, question)
    return _written(request, stored, change, _("It is a list now, and has no rules."), "Frozen.")


def _archive(request: HttpRequest, stored: Segment, _site: AdminSite) -> HttpResponse:
    require_to(request, SEGMENT, "change")
    change = archival_of(stored, archived=True)
    done = _("It is archived: nobody is in it, and lists leave it out.")
    return _written(request, stored, change, done, "Archived.")


def _unarchive(request: HttpRequest, stored: Segment, _site: AdminSite) -> HttpResponse:
    require_to(request, SEGMENT, "change")
    change = archival_of(stored, archived=False)
    done = _("It is out of the archive. It is not active yet.")
    return _written(request, stored, change, done, "Taken out of the archive.")


def _written(
    request: HttpRequest, stored: Segment, change: Change, done: str, logged: str
) -> HttpResponse:
    """Raises NeedsConfirmation and ValidationError."""
    write(request, change)
    log_change(request, stored.pk, logged, CHANGE)
    messages.success(request, done)
    return HttpResponseRedirect(change_link(stored.pk, stored.key).href)


def _ask(
    request: HttpRequest, stored: Segment, site: AdminSite, asked: NeedsConfirmation
) -> HttpResponse:
    question = Question(
        examinations=asked.examinations,
        trail=segment_trail(stored),
        back=request.get_full_path(),
    )
    return confirmation_page(request, site, question)


_ACTS: Final[Mapping[str, Callable[[HttpRequest, Segment, AdminSite], HttpResponse]]] = {
    "copy": _copy,
    "freeze": _freeze,
    "archive": _archive,
    "unarchive": _unarchive,
}
