"""The page on which a member of staff previews flags with other values, and ends the preview.

The admin's log records each choice. The page exists only if the setting is on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.core.conf import app_settings
from featureflags.core.types import Account, JSONValue
from featureflags.evaluation import looking, previews
from featureflags.flags.declared import Flag, FlagType, declared_flags
from featureflags.inspection.flag_parsing import flags
from featureflags.kinds.registry import user_kind
from featureflags.launchdarkly.client import feature_store

logger = logging.getLogger(__name__)

TEMPLATE = "admin/featureflags/flag_previews.html"
PREFIX = "flag:"
BOOLEANS = [
    ("", gettext_lazy("As everybody")),
    ("true", gettext_lazy("On")),
    ("false", gettext_lazy("Off")),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nothing:
    """No value was chosen. None would be a value."""


NOTHING = _Nothing()


class FlagField(forms.CharField):
    """A flag's value: plain text for a string flag, JSON for every other type.

    `known`: the values that LaunchDarkly serves, as choices. Without them any text can be written.
    """

    def __init__(self, flag: Flag, known: Sequence[JSONValue] = ()) -> None:
        choices = BOOLEANS if flag.type is FlagType.BOOLEAN else _choices(flag, known)
        widget = forms.Select(choices=choices) if choices else forms.TextInput()
        super().__init__(required=False, label=flag.key, help_text=flag.description, widget=widget)
        self._flag = flag

    def clean(self, value: Any) -> JSONValue | _Nothing:
        text = super().clean(value)
        if not text:
            return NOTHING
        if self._flag.type is FlagType.STRING:
            return str(text)
        try:
            parsed: JSONValue = json.loads(text)
        except ValueError as error:
            raise forms.ValidationError(_("This is not JSON.")) from error
        if not self._flag.type.holds(parsed):
            raise forms.ValidationError(
                _("This is not of the type %(type)s.") % {"type": self._flag.type.value}
            )
        return parsed


def _choices(flag: Flag, known: Sequence[JSONValue]) -> list[tuple[str, str]]:
    """The values of a flag and its default in code, each once; empty if none is known."""
    fitting = [value for value in known if flag.type.holds(value)]
    if not fitting:
        return []
    texts = dict.fromkeys(_as_text(value) for value in (*fitting, flag.default))
    # An empty text means no choice.
    return [("", str(BOOLEANS[0][1])), *((text, text) for text in texts if text)]


class TesterForm(forms.Form):
    """One field for each declared flag."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with looking():
            served = {flag.key: flag for flag in flags(feature_store().raw())}
        for key, flag in declared_flags().items():
            known = served[key].variations if key in served else ()
            field = self.fields[PREFIX + key] = FlagField(flag, known)
            chosen = self.data.get(PREFIX + key) or self.initial.get(PREFIX + key, "")
            _keep_chosen(field, str(chosen))

    def chosen(self) -> dict[str, JSONValue]:
        return {
            name.removeprefix(PREFIX): value
            for name, value in self.cleaned_data.items()
            if value is not NOTHING
        }


def _keep_chosen(field: forms.Field, text: str) -> None:
    """The value of now stays a choice, also if LaunchDarkly does not serve it any more."""
    widget = field.widget
    if isinstance(widget, forms.Select) and text not in dict(widget.choices):
        widget.choices = [*widget.choices, (text, text)]


def choose_flags(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """Choose and end. `admin_view` around it admits staff only."""
    if not app_settings().testers or not isinstance(request.user, AbstractBaseUser):
        raise Http404
    look = previews.look_of(request)
    if request.method != "POST":
        return _page(request, site, TesterForm(initial=_initial(look)), look)
    if "end" in request.POST:
        return _ended(request.user, request)
    form = TesterForm(request.POST)
    if not form.is_valid():
        return _page(request, site, form, look)
    return _started(request.user, request, site, form)


def _started(
    user: Account, request: HttpRequest, site: AdminSite, form: TesterForm
) -> HttpResponse:
    chosen = form.chosen()
    if not chosen:
        return _ended(user, request)
    response = HttpResponseRedirect(reverse("admin:featureflags_testing"))
    try:
        previews.start(response, previews.new_look(user, chosen))
    except previews.LookTooLong:
        form.add_error(None, _("A cookie cannot hold this much. Choose fewer flags."))
        return _page(request, site, form, previews.look_of(request))
    _write_down(user, "Sees pages with these flags: " + json.dumps(chosen, sort_keys=True))
    messages.success(request, _("You now see pages with these flags. Nobody else does."))
    return response


def _ended(user: Account, request: HttpRequest) -> HttpResponse:
    response = HttpResponseRedirect(reverse("admin:featureflags_testing"))
    previews.end(response)
    _write_down(user, "Sees pages as everybody does.")
    messages.success(request, _("You see pages as everybody does."))
    return response


def _write_down(user: Account, what: str) -> None:
    LogEntry.objects.log_actions(
        user.pk,
        user_kind().rows().filter(pk=user.pk),
        CHANGE,
        change_message=what,
        single_object=True,
    )
    logger.info("Tester %s: %s", user.pk, what)


def _page(
    request: HttpRequest, site: AdminSite, form: TesterForm, look: previews.Look | None
) -> HttpResponse:
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": _("See pages with other flags"),
        "form": form,
        "look": look,
    }
    return render(request, TEMPLATE, context)


def _initial(look: previews.Look | None) -> Mapping[str, str]:
    chosen = {} if look is None else look.flags
    return {PREFIX + key: _as_text(value) for key, value in chosen.items()}


def _as_text(value: JSONValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
