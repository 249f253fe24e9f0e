"""Lists that keep the chosen rows where an action is refused, or somebody goes back from its question.

`KeptChoice` is for those of a ModelAdmin, `keep` and `take` for our own pages. A refused action leads back to its list by a redirect, so that a reload sends nothing again. The session holds
the choice until then. “Select all” of several pages is not kept: the list would not show what it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString

from featureflags.admin.shared.checked_lookups import Mixed
from featureflags.admin.shared.confirm import BACK

ModelT = TypeVar("ModelT", bound=Model)

KEPT: Final = "featureflags_kept_choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen rows of a list, and what was typed beside them."""

    rows: frozenset[str] = frozenset()
    typed: Mapping[str, str] = field(default_factory=dict)


class ActionRefused(Exception):
    """An action was not done, for these reasons."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons


class KeptChoice(Mixed[ModelT]):
    """Mix it in before a ModelAdmin. Its actions raise ActionRefused."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As Django's, with the choice that was kept for this address, once."""
        if request.method == "POST":
            if BACK in request.POST:
                return self.keep_choice(request)
            return super().changelist_view(request, extra_context)
        shown = extra_context or {}
        if self.get_actions(request):
            form = self.action_form(auto_id=None, initial=_kept(request).typed)
            form.fields["action"].choices = self.get_action_choices(request)
            shown = {"action_form": form, **shown}
        response = super().changelist_view(request, shown)
        take(request)
        return response

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """As Django's, with a mark on the rows that were chosen."""
        found = super().get_changelist_instance(request)
        if chosen := _kept(request).rows:
            for row in found.result_list:
                row.is_chosen = str(row.pk) in chosen  # ours
        return found

    def action_checkbox(self, obj: ModelT) -> SafeString:
        """As Django's, which is never checked."""
        box = super().action_checkbox(obj)
        is_chosen = getattr(obj, "is_chosen", False)
        return SafeString(box.replace("<input ", "<input checked ", 1)) if is_chosen else box

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[ModelT], *where: Any, **named: Any
    ) -> HttpResponse | None:
        """As Django's, which answers None where no action was chosen."""
        try:
            response = super().response_action(request, queryset, *where, **named)
        except ActionRefused as refused:
            return self.keep_choice(request, refused.reasons)
        return self.keep_choice(request) if response is None else response

    def keep_choice(self, request: HttpRequest, reasons: Iterable[str] = ()) -> HttpResponse:
        """Back to the list, with the reasons, the chosen rows, and what was typed beside the action."""
        for reason in reasons:
            self.message_user(request, reason, messages.ERROR)
        names = {*self.action_form.base_fields} - {"select_across"}
        typed = {name: value for name in names if (value := request.POST.get(name))}
        keep(request, request.POST.getlist(ACTION_CHECKBOX_NAME), typed)
        return HttpResponseRedirect(request.get_full_path())


def keep(request: HttpRequest, rows: Sequence[str], typed: Mapping[str, str] | None = None) -> None:
    """Until the address of the request is asked for again: the chosen rows, and what was typed beside them."""
    address = request.get_full_path()
    request.session[KEPT] = {"address": address, "rows": list(rows), "typed": dict(typed or {})}


def take(request: HttpRequest) -> Choice:
    """What was kept for this address, once."""
    found = _kept(request)
    if request.method != "POST":
        request.session.pop(KEPT, None)
    return found


def _kept(request: HttpRequest) -> Choice:
    # A list can be made of a request that no middleware has seen, as by a script.
    kept: dict[str, Any] = getattr(request, "session", {}).get(KEPT, {})
    if request.method == "POST" or kept.get("address") != request.get_full_path():
        return Choice()
    return Choice(rows=frozenset(kept["rows"]), typed=kept["typed"])
