"""A draft of a segment as a page of its own: what differs, who would be in it, one person tested against it.

Nothing of the segment is written. The address holds a random token; everybody who opens it needs the permission to
view segments, and the one to view its rows to see people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from django.contrib.admin import AdminSite
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from featureflags.admin.drafts.keep import BESIDE
from featureflags.admin.drafts.trial import NEW_SEGMENT, tried
from featureflags.admin.members.panel import member_form, member_kept
from featureflags.admin.rule_editor.impact_words import impact_in_words
from featureflags.admin.segments.owners import owner_name
from featureflags.admin.shared.confirm import NOTE
from featureflags.admin.shared.json_forms import pretty_json
from featureflags.admin.shared.pages import (
    SEGMENT,
    may,
    may_see,
    model_of,
    require,
    respond,
    segment_trail,
    segments_link,
)
from featureflags.admin.shared.people import people_page
from featureflags.audience import impact_of, made_of, unsaved_segment, with_segments
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.editing import (
    change_in_words,
    load_state,
    membership_change,
    moment_in_words,
    rules_in_words,
    segment_in_words,
)
from featureflags.kinds.registry import USER, kind_or_user
from featureflags.models import Segment, SegmentDraft
from featureflags.models.changesets import MemberState, SegmentState
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.ruleset import Ruleset

DRAFT, ENTERING, LEAVING, EITHER = "~draft", "~entering", "~leaving", "~either"
"""Keys that no stored segment can have."""
SHOWN: Final = {"": EITHER, "entering": ENTERING, "leaving": LEAVING}
"""The parts of the list of people, by the value of the parameter `show`."""


def draft_page(request: HttpRequest, token: str, *, site: AdminSite) -> HttpResponse:
    """The draft. A POST tests somebody (`who`) against it, so that a server logs no address."""
    require(request, SEGMENT)
    draft, state, stored = _draft(token)
    kind = kind_or_user(state.kind)
    before = None if stored is None else stored.stored_state()
    member = member_kept(stored, draft.state.get(BESIDE, {}))
    definition = _definition(state, draft.segment_key, member)
    impact = impact_of(definition)
    who = request.POST.get("who", "") if request.method == "POST" else ""
    found: dict[str, Any] = impact_in_words(request, impact, kind, is_new=stored is None)
    if who and found["may_test"]:
        about = Segment(**_row(state, stored))
        found |= tried(about, definition, who)
    return respond(
        request,
        site,
        "admin/featureflags/segments/draft.html",
        title=_("Draft of %s") % (state.key or state.name or NEW_SEGMENT),
        trail=[segments_link()] if stored is None else segment_trail(stored),
        draft=draft,
        author=_author(draft, sees=may_see(request, model_of(kind_or_user(USER)))),
        made=moment_in_words(draft.created_at),
        ends=moment_in_words(draft.expires_at),
        address=request.build_absolute_uri(request.path),
        is_old=before is not None and before.version != state.version,
        is_gone=stored is None and state.version > 0,
        lines=[
            *segment_in_words(before, state),
            *_member_in_words(stored, member, sees=bool(found["may_test"])),
        ],
        sentences=rules_in_words(state),
        who=who,
        people=reverse("admin:featureflags_draft_people", args=[token]),
        editor=_editor(request, draft, state, stored),
        **found,
    )


def draft_people(request: HttpRequest, token: str, *, site: AdminSite) -> HttpResponse:
    """Everybody who would be in it or leave it, page by page; `show` is `entering` or `leaving`."""
    require(request, SEGMENT)
    draft, state, stored = _draft(token)
    kind = kind_or_user(state.kind)
    require(request, model_of(kind))
    show = request.GET.get("show", "")
    show = show if show in SHOWN else ""
    ruleset = _ruleset(draft, state, member_kept(stored, draft.state.get(BESIDE, {})))
    now = now_in_microseconds()

    def mark(row: Any) -> str:
        attributes = attributes_of(row, now)
        was_in = ruleset.matches(draft.segment_key, attributes, now=now)
        if not ruleset.matches(DRAFT, attributes, now=now):
            return _("leaves")
        return _("stays") if was_in else _("enters")

    query = request.GET.get("q", "")
    page = people_page(request, ruleset, SHOWN[show], kept={"show": show, "q": query}, mark=mark)
    return respond(
        request,
        site,
        "admin/featureflags/segments/people.html",
        title=_("Who would be in %s") % (state.key or state.name or NEW_SEGMENT),
        trail=[segments_link()] if stored is None else segment_trail(stored),
        back=reverse("admin:featureflags_draft", args=[token]),
        tabs=[
            ("", _("Everybody"), not show),
            ("entering", _("Entering"), show == "entering"),
            ("leaving", _("Leaving"), show == "leaving"),
        ],
        show=show,
        query=query,
        kind=kind,
        people=page,
        mark_label=_("What changes"),
    )


def _draft(token: str) -> tuple[SegmentDraft, SegmentState, Segment | None]:
    """Raises Http404 for an unknown draft, and for one that has expired."""
    draft = SegmentDraft.objects.held().filter(token=token).first()
    if draft is None:
        raise Http404(_("There is no such draft. Drafts end after 14 days."))
    state = load_state(draft.state)
    stored = Segment.objects.filter(key=draft.segment_key).first() if draft.segment_key else None
    if stored is not None and stored.kind != state.kind:
        # Another segment has this key now. The draft is like one of a new segment.
        draft.segment_key, stored = "", None
    return draft, state, stored


def _member_in_words(
    stored: Segment | None, member: Mapping[str, MemberState], *, sees: bool
) -> list[str]:
    """The sentence about the member by name, if there is one; why it cannot be saved, if it cannot."""
    if stored is None or not member:
        return []
    try:
        return change_in_words(membership_change(stored, member), with_addresses=sees)
    except ValidationError as error:
        return list(error.messages)


def _definition(
    state: SegmentState, key: str, member: Mapping[str, MemberState]
) -> SegmentDefinition:
    """The draft with the members that are stored, and the one that was typed."""
    return unsaved_segment(
        key,
        state.rules,
        kind=state.kind,
        is_active=state.is_active,
        bucket_key=key or state.key,
        salt=state.salt,
        members=member,
    )


def _ruleset(
    draft: SegmentDraft, state: SegmentState, member: Mapping[str, MemberState]
) -> Ruleset:
    """The rules in force, with the draft beside them, and with who enters and who leaves."""
    key, kind = draft.segment_key, state.kind
    ruleset = known_ruleset().ruleset
    wanted = replace(_definition(state, key, member), key=DRAFT)
    is_stored = key in ruleset.definitions
    old = [key] if is_stored else []
    nobody = SegmentDefinition(key=LEAVING, kind=kind)
    return with_segments(
        ruleset,
        wanted,
        made_of(EITHER, within=[[DRAFT, *old]], kind=kind),
        made_of(ENTERING, within=[[DRAFT]], outside=old, kind=kind),
        made_of(LEAVING, within=[old], outside=[DRAFT], kind=kind) if is_stored else nobody,
    )


def _row(state: SegmentState, stored: Segment | None) -> dict[str, Any]:
    """The fields of a segment that is not saved, for what names it."""
    return {
        "pk": None if stored is None else stored.pk,
        "key": str(NEW_SEGMENT) if stored is None else state.key,
        "kind": state.kind,
        "name": state.name or state.key or NEW_SEGMENT,
        "is_active": state.is_active,
        "rules": state.rules,
    }


def _author(draft: SegmentDraft, *, sees: bool) -> str:
    return _("somebody") if draft.author is None else owner_name(draft.author, sees_titles=sees)


def _editor(
    request: HttpRequest, draft: SegmentDraft, state: SegmentState, stored: Segment | None
) -> dict[str, Any]:
    """The form that fills the editor with the draft; empty for those who may not save it."""
    if not may(request, SEGMENT, "add" if stored is None else "change"):
        return {}
    address = reverse("admin:featureflags_segment_add") + f"?kind={state.kind}"
    if stored is not None:
        address = reverse("admin:featureflags_segment_change", args=[stored.pk])
    fields = {
        "name": state.name,
        "description": state.description,
        "tags": ", ".join(state.tags),
        "owner": state.owner,
        "rules": pretty_json(state.rules),
        "salt": state.salt,
        "_version": str(state.version),
        "_held": "1",
    }
    if stored is None:
        fields |= {"key": state.key, "kind": state.kind}
    if state.is_active:
        fields["is_active"] = "on"
    beside: dict[str, str] = draft.state.get(BESIDE, {})
    adds = member_form(request, stored) is not None
    fields |= {name: text for name, text in beside.items() if adds or name == NOTE}
    return {"address": address, "fields": fields}
