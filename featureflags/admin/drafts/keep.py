"""Keeps the form of a segment as a draft, with a page of its own. Nothing of the segment is written."""

from __future__ import annotations

from typing import Final

from django.contrib.admin import AdminSite
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from featureflags.admin.members.panel import PREFIX, member_form
from featureflags.admin.rule_editor.preview import NotYetJSON, may_preview, sent_rules
from featureflags.admin.segments.save import LONGEST_NOTE
from featureflags.admin.shared.confirm import NOTE
from featureflags.admin.shared.pages import respond, segment_trail, segments_link, user_of
from featureflags.core.input_gate import whole_number
from featureflags.editing import dump_state
from featureflags.kinds.registry import USER, kind_named
from featureflags.models import Segment, SegmentDraft, problems_now
from featureflags.models.changesets import SegmentState
from featureflags.models.stored_forms import in_stored_form, in_tag_form
from featureflags.models.validation import check_rules

BESIDE: Final = "beside"
"""What the form holds beside the segment itself, in the JSON of the draft."""
BY_NAME: Final = f"{PREFIX}-"


@require_POST
def keep_draft(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """Store the form of a segment as a draft, and go to its page; or what must be corrected first.

    `segment` in the address: the key of the one that is changed. Without it: a new one, of the `kind` there.
    """
    may_preview(request)
    key = request.GET.get("segment", "")
    stored = Segment.objects.filter(key=key).first() if key else None
    try:
        state = _sent_state(request, stored)
    except NotYetJSON:
        return _refused(request, site, stored, [_("This is not JSON yet.")])
    checked, pk = check_rules(state.rules, state.kind), None if stored is None else stored.pk
    problems = [str(one) for one in problems_now(key, checked, without=pk)]
    if problems:
        return _refused(request, site, stored, problems)
    draft = SegmentDraft(segment_key=key if stored else "", author=user_of(request))
    draft.state = {**dump_state(state), BESIDE: _sent_beside(request, stored)}
    SegmentDraft.objects.keep(draft)
    return HttpResponseRedirect(reverse("admin:featureflags_draft", args=[draft.token]))


def _refused(
    request: HttpRequest, site: AdminSite, stored: Segment | None, problems: list[str]
) -> HttpResponse:
    return respond(
        request,
        site,
        "admin/featureflags/segments/draft_refused.html",
        title=_("The draft is not finished yet"),
        trail=[segments_link()] if stored is None else segment_trail(stored),
        problems=problems,
    )


def _sent_state(request: HttpRequest, stored: Segment | None) -> SegmentState:
    """What the form holds, its rules in stored form. Raises NotYetJSON."""
    sent = request.POST
    asked = request.GET.get("kind", USER) if stored is None else stored.kind
    kind = asked if kind_named(asked) is not None else USER
    try:
        tags = tuple(in_tag_form(sent.get("tags", "").replace(",", " ").split()))
    except ValidationError:
        tags = ()
    return SegmentState(
        key=sent.get("key", "").strip()[:100] if stored is None else stored.key,
        kind=kind,
        name=sent.get("name", "").strip()[:200],
        description=sent.get("description", ""),
        is_active=bool(sent.get("is_active")),
        rules=in_stored_form(sent_rules(sent.get("rules")), kind)[0],
        version=whole_number(sent.get("_version")) or 0,
        salt=sent.get("salt", "" if stored is None else stored.salt)[:255],
        tags=tags,
        owner=sent.get("owner", "")[:255],
        is_archived=stored is not None and stored.is_archived,
    )


def _sent_beside(request: HttpRequest, stored: Segment | None) -> dict[str, str]:
    """The note, and the member by name for those who may add one, as they were typed."""
    adds = member_form(request, stored) is not None
    return {
        name: request.POST.get(name, "")[:LONGEST_NOTE]
        for name in request.POST
        if name == NOTE or (adds and name.startswith(BY_NAME))
    }
