"""Actions on the segments that are chosen in the list: into the archive and out of it, tags."""

from __future__ import annotations

from collections.abc import Callable

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from featureflags.admin.shared.confirm import write
from featureflags.admin.shared.guarded_admin import BaseModelAdmin
from featureflags.admin.shared.kept_choice import ActionRefused
from featureflags.admin.shared.pages import log_change
from featureflags.editing import Change, archival_of, tagged
from featureflags.models import Segment

MOST_AT_ONCE = 200
"""Segments that one request may change: a page of the list, twice. A server ends a request that takes too long."""


class TagActionForm(ActionForm):
    """The actions, and the tag for those that add or remove one."""

    tag = forms.CharField(
        required=False,
        max_length=64,
        label=gettext_lazy("Tag:"),
        widget=forms.TextInput(attrs={"size": 12, "autocomplete": "off"}),
    )


class OrganisingActions(BaseModelAdmin[Segment]):
    """The actions of the list."""

    actions = ("archive_chosen", "unarchive_chosen", "add_tag", "remove_tag")
    action_form = TagActionForm

    @admin.action(description=gettext_lazy("Archive"), permissions=["change"])
    def archive_chosen(self, request: HttpRequest, chosen: QuerySet[Segment]) -> None:
        """Raises NeedsConfirmation."""
        self._change(request, chosen, lambda segment: archival_of(segment, archived=True))

    @admin.action(description=gettext_lazy("Take out of the archive"), permissions=["change"])
    def unarchive_chosen(self, request: HttpRequest, chosen: QuerySet[Segment]) -> None:
        self._change(request, chosen, lambda segment: archival_of(segment, archived=False))

    @admin.action(description=gettext_lazy("Add the tag"), permissions=["change"])
    def add_tag(self, request: HttpRequest, chosen: QuerySet[Segment]) -> None:
        tags = self._tags(request)
        self._change(request, chosen, lambda segment: tagged(segment, add=tags))

    @admin.action(description=gettext_lazy("Remove the tag"), permissions=["change"])
    def remove_tag(self, request: HttpRequest, chosen: QuerySet[Segment]) -> None:
        tags = self._tags(request)
        self._change(request, chosen, lambda segment: tagged(segment, remove=tags))

    def _tags(self, request: HttpRequest) -> list[str]:
        """What was typed beside the actions, as the form of a segment takes it. Raises ActionRefused."""
        tags = request.POST.get("tag", "").replace(",", " ").split()
        if not tags:
            raise ActionRefused(_("Type the tag beside the action."))
        return tags

    def _change(
        self,
        request: HttpRequest,
        chosen: QuerySet[Segment],
        change_of: Callable[[Segment], Change],
    ) -> None:
        """All of them, or none. Raises NeedsConfirmation and ActionRefused."""
        if chosen.count() > MOST_AT_ONCE:
            raise ActionRefused(_("Choose at most %d segments at once.") % MOST_AT_ONCE)
        try:
            changes = {segment.pk: change_of(segment) for segment in chosen}
            real = {pk: one for pk, one in changes.items() if not one.is_nothing}
            write(request, *real.values())
        except ValidationError as error:
            raise ActionRefused(*error.messages) from error
        for pk in real:
            log_change(request, pk, "Changed in the list.")
        text = ngettext("%d segment was changed.", "%d segments were changed.", len(real))
        if real:
            self.message_user(request, text % len(real), messages.SUCCESS)
        else:
            self.message_user(request, _("Nothing has changed: all of it was stored already."))
