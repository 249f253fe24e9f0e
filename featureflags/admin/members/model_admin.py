"""Members of segments in the admin: who is in or out, why, and until when.

Each write asks first if it has to, as that of a segment does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import Field
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.members.forms import expiry_help
from featureflags.admin.segments.confirm import (
    BACK,
    NOTE,
    HeldForm,
    NeedsConfirmation,
    Question,
    confirmation_page,
    require_confirmation,
)
from featureflags.admin.shared.pages import Link, segments_link
from featureflags.admin.shared.refusals import RefusingModelAdmin
from featureflags.editing.changes import MemberDelta
from featureflags.editing.confirmation import Examination, examine
from featureflags.editing.member_lists import membership_of
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import segment_change

SOURCE: Final = "admin"

if TYPE_CHECKING:
    MemberModelForm = forms.ModelForm[SegmentMember]
else:
    MemberModelForm = forms.ModelForm


class SegmentMemberForm(HeldForm, MemberModelForm):
    """One membership."""


@admin.register(SegmentMember)
class SegmentMemberAdmin(RefusingModelAdmin[SegmentMember]):
    """Memberships. Segment and user are looked up as they are typed: there may be millions."""

    form = SegmentMemberForm
    autocomplete_fields = ("segment", "user")
    fields = ("segment", "user", "kind", "reason", "expires_at")
    list_display = ("user", "segment", "kind", "reason", "expires_at", "in_force")
    list_filter = ("kind", ("segment", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("segment", "user")
    search_fields = ("user__email", "user__name", "segment__key")
    search_help_text = gettext_lazy("E-mail or name of the user, or key of the segment.")
    ordering = ("segment__key", "user__email")
    show_full_result_count = False

    @admin.display(description=gettext_lazy("in force"), boolean=True)
    def in_force(self, member: SegmentMember) -> bool:
        """Whether the membership has not ended yet."""
        return member.expires_at is None or member.expires_at > timezone.now()

    def formfield_for_dbfield(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Field | None:
        """As Django's; the expiry says whose time it is."""
        if db_field.name == "expires_at":
            kwargs["help_text"] = expiry_help()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_form(
        self,
        request: HttpRequest,
        obj: SegmentMember | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> type[forms.ModelForm[SegmentMember]]:
        """As Django's, which makes a class for each request."""
        form = super().get_form(request, obj, change, **kwargs)
        form.is_held = BACK in request.POST  # type: ignore[attr-defined]
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """As Django's. It may ask first."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except NeedsConfirmation as asked:
            return self._ask(request, asked)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As Django's. It may ask once more, with numbers."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except NeedsConfirmation as asked:
            return self._ask(request, asked, back=_list())

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As Django's. To delete the chosen may be asked about once more, with numbers."""
        try:
            return super().changelist_view(request, extra_context)
        except NeedsConfirmation as asked:
            return self._ask(request, asked, back=_list())

    def save_model(
        self,
        request: HttpRequest,
        obj: SegmentMember,
        form: forms.ModelForm[SegmentMember],  # noqa: ARG002 - Django's signature
        change: bool,
    ) -> None:
        """Raises NeedsConfirmation, and ValidationError."""
        stored = SegmentMember.objects.filter(pk=obj.pk).first() if change else None
        moved = _examined(request, [*_gone(stored, obj), (obj, _delta(stored, obj))])
        with segment_change(note=request.POST.get(NOTE, ""), source=SOURCE, moved=moved):
            obj.save()

    def delete_model(self, request: HttpRequest, obj: SegmentMember) -> None:
        """Raises NeedsConfirmation."""
        self._delete(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SegmentMember]) -> None:
        """Raises NeedsConfirmation."""
        self._delete(request, list(queryset.select_related("segment")))

    def _delete(self, request: HttpRequest, members: list[SegmentMember]) -> None:
        deltas = [(member, MemberDelta(before=member.as_state(), after=None)) for member in members]
        moved = _examined(request, deltas)
        with segment_change(note=request.POST.get(NOTE, ""), source=SOURCE, moved=moved):
            SegmentMember.objects.filter(pk__in=[member.pk for member in members]).delete()

    def _ask(
        self, request: HttpRequest, asked: NeedsConfirmation, *, back: str = ""
    ) -> HttpResponse:
        trail = [segments_link(), Link(text=_("Members"), href=_list())]
        question = Question(examinations=asked.examinations, trail=trail, back=back)
        return confirmation_page(request, self.admin_site, question)


def _delta(stored: SegmentMember | None, member: SegmentMember) -> MemberDelta:
    """What becomes of a membership that stays with its segment and user."""
    same = stored is not None and _place(stored) == _place(member)
    before = stored.as_state() if stored is not None and same else None
    return MemberDelta(before=before, after=member.as_state())


def _gone(
    stored: SegmentMember | None, member: SegmentMember
) -> list[tuple[SegmentMember, MemberDelta]]:
    """What becomes of the place that a membership moves away from."""
    if stored is None or _place(stored) == _place(member):
        return []
    return [(stored, MemberDelta(before=stored.as_state(), after=None))]


def _place(member: SegmentMember) -> tuple[int, object]:
    return member.segment_id, member.user_id


def _examined(
    request: HttpRequest, changes: Iterable[tuple[SegmentMember, MemberDelta]]
) -> Mapping[str, Any]:
    """The numbers of these changes, by segment. Raises NeedsConfirmation."""
    segments: dict[Segment, dict[Any, MemberDelta]] = {}
    for member, delta in changes:
        if delta.before != delta.after:
            segments.setdefault(member.segment, {})[member.user_id] = delta
    examinations: list[Examination] = [
        examine(segment.pk, membership_of(segment, members))
        for segment, members in segments.items()
    ]
    require_confirmation(request, examinations)
    return {each.key: each.moved for each in examinations}


def _list() -> str:
    return reverse("admin:featureflags_segmentmember_changelist")
