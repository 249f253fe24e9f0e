"""Saves a segment in the admin: examined, confirmed where it must be, and never over what somebody
else has saved in between. The form carries the version that it was filled from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.members.forms import KeyForm, MemberForm
from featureflags.admin.members.panel import member_form
from featureflags.admin.segments.conflict import (
    TAKE,
    VERSION,
    Stale,
    merge,
    refuse_stale,
    send_instead,
    take_theirs,
)
from featureflags.admin.segments.owners import OwnerField, TagsField, owner_choices
from featureflags.admin.shared.confirm import BACK, NOTE, HeldForm, write
from featureflags.admin.shared.guarded_admin import GuardedModelAdmin
from featureflags.admin.shared.pages import (
    MEMBER,
    Link,
    change_link,
    kinds_seen,
    require_to,
    segments_link,
    user_of,
)
from featureflags.admin.shared.session import name_saved_form
from featureflags.core.input_gate import whole_number
from featureflags.core.types import AccountKey
from featureflags.editing import MemberChange, change_to, membership_change, open_warnings
from featureflags.kinds.nouns import noun
from featureflags.kinds.registry import USER, kinds
from featureflags.models import Segment
from featureflags.models.changesets import SegmentState
from featureflags.segments.definitions import Problem
from featureflags.segments.parsing import load_rules

HELD: Final = "_held"
HOLDS: Final = (BACK, TAKE, HELD)
"""Sent with a form that is to be shown again, and not to be saved."""

NOTE_FIELDSET: Final = (gettext_lazy("Note"), {"fields": (NOTE,)})
LONGEST_NOTE: Final = 1000
POPUPS: Final = "admin/RelatedObjectLookups.js"
KEY_HELP: Final = gettext_lazy(
    "Proposed from the name. Letters, digits, dots, dashes and underscores, 100 at most. LaunchDarkly's"
    " rules name the segment by it, so it cannot change once the segment is saved."
)

if TYPE_CHECKING:
    SegmentModelForm = forms.ModelForm[Segment]
else:
    SegmentModelForm = forms.ModelForm


class SegmentForm(HeldForm, SegmentModelForm):
    """A segment, with a note for its history."""

    note = forms.CharField(
        label=gettext_lazy("Note for the history"),
        required=False,
        max_length=LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
        help_text=gettext_lazy("Why you change it. May be empty."),
    )

    tags = TagsField()
    owner = OwnerField(
        queryset=None,
        required=False,
        label=gettext_lazy("Owner"),
        empty_label=gettext_lazy("Nobody"),
        help_text=gettext_lazy("Who answers for it."),
    )

    owners: QuerySet[Any]
    """Who may be chosen as owner."""
    sees_titles = False
    member_form: MemberForm | KeyForm | None = None
    """The fields that add a member, on the same page."""
    new_kind: str = USER
    """Of a segment that is added."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        owner = self.fields.get("owner")
        if isinstance(owner, OwnerField):
            owner.sees_titles = self.sees_titles
            owner.queryset = self.owners
        if self.instance._state.adding:
            self.instance.kind = self.new_kind
        salt = self.fields.get("salt")
        if isinstance(salt, forms.CharField):
            salt.strip = False  # Without its blanks it would draw others.
        if "key" in self.fields:
            self.fields["key"].help_text = KEY_HELP

    def clean(self) -> dict[str, Any] | None:
        """As Django's. A member that is not complete refuses the whole form."""
        cleaned: dict[str, Any] | None = super().clean()
        member = self.member_form
        if member is not None and member.is_bound and not member.is_valid():
            said = _("Correct the %s under “Included and excluded by name”.")
            self.add_error(None, said % noun(self.instance.kind, 1))
        return cleaned

    @cached_property
    def changed_data(self) -> list[str]:
        """As Django's. A note changes nothing."""
        return [name for name in super().changed_data if name != NOTE]


def chosen_kind(request: HttpRequest) -> str | None:
    """The kind of the segment to add, from the address; None where it must be chosen first."""
    names = [kind.name for kind in kinds()]
    chosen = request.GET.get("kind")
    return names[0] if len(names) == 1 else chosen if chosen in names else None


class SavingSegmentAdmin(GuardedModelAdmin[Segment]):
    """Asks before a segment is saved, and shows a conflict instead of overwriting."""

    form = SegmentForm

    @property
    def media(self) -> forms.Media:
        """As Django's, without its script for the windows of related rows, which no field here opens: it listens for
        `unload`, and browsers keep no page that does, for the way back to it."""
        found: Any = super().media
        # Django has no other way to leave a script out.
        sheets, all_scripts = found._css, found._js  # noqa: SLF001
        scripts = [each for each in all_scripts if not str(each).endswith(POPUPS)]
        return forms.Media(css=sheets, js=scripts)

    def confirm_trail(self, object_id: str | None, keys: str) -> list[Link]:
        trail = [segments_link()]
        return trail if object_id is None else [*trail, change_link(object_id, keys)]

    def get_form(
        self, request: HttpRequest, obj: Segment | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Segment]]:
        """As Django's, which makes a class for each request."""
        form = super().get_form(request, obj, change, **kwargs)
        form.is_held = any(name in request.POST for name in HOLDS)  # type: ignore[attr-defined]
        form.member_form = member_form(request, obj)  # type: ignore[attr-defined]
        form.owners = owner_choices(request, obj)  # type: ignore[attr-defined]
        form.sees_titles = USER in kinds_seen(request)  # type: ignore[attr-defined]
        form.new_kind = chosen_kind(request) or USER  # type: ignore[attr-defined]
        return form

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """As Django's. Who adds a segment owns it, unless they choose somebody else."""
        return {"owner": user_of(request).pk, **super().get_changeform_initial_data(request)}

    def with_note(self, request: HttpRequest, fieldsets: Any) -> list[Any]:
        """The fieldsets, and the note for users who may save."""
        may_save = self.has_change_permission(request) or self.has_add_permission(request)
        return [*fieldsets, NOTE_FIELDSET] if may_save else list(fieldsets)

    def response_add(
        self, request: HttpRequest, obj: Segment, post_url_continue: str | None = None
    ) -> HttpResponse:
        return name_saved_form(request, super().response_add(request, obj, post_url_continue))

    def response_change(self, request: HttpRequest, obj: Segment) -> HttpResponse:
        return name_saved_form(request, super().response_change(request, obj))

    def save_model(
        self,
        request: HttpRequest,
        obj: Segment,
        form: forms.ModelForm[Segment],
        change: bool,
    ) -> None:
        """As Django's, with a message on each value of the rules that was changed to be saved.

        Raises Stale, NeedsConfirmation, and what `Segment.save` does.
        """
        wanted = change_to(obj)
        if wanted.before is not None:
            based_on = whole_number(request.POST.get(VERSION))
            if based_on is not None and based_on != wanted.before.version:
                refuse_stale(wanted.state, wanted.before, based_on)
            wanted = replace(
                wanted,
                expected_version=wanted.before.version,
                members=self._member(request, obj, form),
            )
        write(request, wanted, row=obj, note=form.cleaned_data.get(NOTE, ""))
        # The page of the segment shows its warnings by itself.
        stays = "_continue" in request.POST
        warnings = [] if stays else _new_warnings(obj, wanted.before)
        for remark in (*obj.stored_rules().remarks, *warnings):
            self.message_user(request, str(remark), messages.WARNING)

    def _member(
        self, request: HttpRequest, obj: Segment, form: forms.ModelForm[Segment]
    ) -> Mapping[AccountKey, MemberChange]:
        """The membership that the form asks for. Raises PermissionDenied and ValidationError."""
        asked = form.member_form if isinstance(form, SegmentForm) else None
        if asked is None or not asked.is_bound:
            return {}
        members = membership_change(obj, {asked.row_key(): asked.state()}).members
        verbs = {"add" if one.before is None else "change" for one in members.values()}
        require_to(request, MEMBER, *sorted(verbs))
        return members

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """As Django's. It may ask first, or show what others have saved in between."""
        if object_id is not None and TAKE in request.POST:
            take_theirs(request, object_id)
        shown = {**(extra_context or {}), "based_on": request.POST.get(VERSION, "")}
        try:
            return super().changeform_view(request, object_id, form_url, shown)
        except Stale as stale:
            conflict = merge(request, stale)
            shown |= {"conflict": conflict, "based_on": stale.stored.version}
            data = request.POST.copy()
            data[HELD] = "1"
            send_instead(request, data)
            return super().changeform_view(request, object_id, form_url, shown)


def _new_warnings(saved: Segment, before: SegmentState | None) -> list[Problem]:
    """A rule that stays as it is was warned of before."""
    if before is not None and before.rules == saved.rules:
        return []
    old = () if before is None else load_rules(before.rules, before.kind)[0]
    known = [rule.clauses for rule in old]
    rules = saved.stored_rules().checked.rules
    return [
        warning
        for warning in open_warnings(saved)
        if warning.rule and rules[warning.rule - 1].clauses not in known
    ]
