"""Accepts the warnings of a segment's rules, with a note for the history."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from featureflags.admin.segments.save import LONGEST_NOTE
from featureflags.admin.shared.confirm import note_of
from featureflags.admin.shared.pages import (
    SEGMENT,
    change_link,
    require_to,
    segment_or_404,
    user_of,
)
from featureflags.editing import accept_warnings


@require_POST
def accept(request: HttpRequest, segment: str, *, site: AdminSite) -> HttpResponse:
    """Write the note to the history, and go back to the segment."""
    del site
    require_to(request, SEGMENT, "change")
    stored = segment_or_404(segment)
    note = note_of(request).strip()[:LONGEST_NOTE]
    if not note:
        messages.error(request, _("Write why the rule is safe."))
    elif accept_warnings(stored, note=note, by=user_of(request)) is not None:
        messages.success(request, _("The note is in the history. The warning is not shown again."))
    return HttpResponseRedirect(change_link(str(stored.pk), segment).href)
