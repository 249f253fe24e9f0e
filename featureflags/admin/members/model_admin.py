"""Memberships of all segments in the admin: who is in or out, why, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import Field
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.members.forms import expiry_help, start_help
from featureflags.admin.shared.confirm import BACK, HeldForm, write
from featureflags.admin.shared.guarded_admin import GuardedModelAdmin
from featureflags.admin.shared.pages import Link, segments_link
from featureflags.admin.shared.segment_finder import listed_segments
from featureflags.editing import membership_change
from featureflags.kinds.registry import kinds, user_kind
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import MemberState

if TYPE_CHECKING:
    MemberModelForm = forms.ModelForm[SegmentMember]
else:
    MemberModelForm = forms.ModelForm


class SegmentMemberForm(HeldForm, MemberModelForm):
    """One membership."""

    def __init__(self, data: Any = None, *args: Any, **options: Any) -> None:
        """Leaves out what is not a key: Django's list of choices would raise for it."""
        super().__init__(data if data is None else _with_keys_alone(data), *args, **options)


def _with_keys_alone(data: Any) -> Any:
    kept = data.copy()
    for name in ("segment", "user"):
        related: Any = SegmentMember._meta.get_field(name)
        try:
            related.target_field.to_python(kept.get(name))
        except ValidationError:
            kept[name] = ""
    return kept


@admin.display(description=gettext_lazy("user"), ordering="user")
def row_named(member: SegmentMember) -> str:
    """The user, or the kind and key of another row."""
    return str(member.user) if member.user is not None else f"{member.segment.kind}:{member.key}"


@admin.register(SegmentMember)
class SegmentMemberAdmin(GuardedModelAdmin[SegmentMember]):
    """Segment and user are found as they are typed: there may be millions."""

    form = SegmentMemberForm
    fields = ("segment", "user", "kind", "reason", "starts_at", "expires_at")
    list_display = ("user", "segment", "kind", "reason", "starts_at", "expires_at", "in_force")
    list_filter = ("kind", ("segment", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("segment", "user")
    search_help_text = gettext_lazy("E-mail or name of the user, or key of the segment.")
    show_full_result_count = False

    @property
    def autocomplete_fields(self) -> tuple[str, ...]:  # type: ignore[override]
        """The user too, where the project's admin has users and can find them; else by their key."""
        try:
            users = self.admin_site.get_model_admin(user_kind().model)
        except NotRegistered:
            return ("segment",)
        return ("segment", "user") if users.search_fields else ("segment",)

    @property
    def raw_id_fields(self) -> tuple[str, ...]:  # type: ignore[override]
        return () if "user" in self.autocomplete_fields else ("user",)

    def get_list_filter(self, request: HttpRequest) -> Any:
        """By segment too, where they are few: of many the search finds one by its key."""
        found = super().get_list_filter(request)
        return found if listed_segments(with_archived=True) is not None else found[:1]

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Those of the user's kind."""
        kind = user_kind()
        named = dict.fromkeys((kind.title, *kind.search))
        return (*(f"user__{name}" for name in named), "segment__key", "key")

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = super().get_list_display(request)
        return shown if len(kinds()) == 1 else (row_named, *shown[1:])

    def get_fields(self, request: HttpRequest, obj: SegmentMember | None = None) -> Any:
        """A row of another kind has a key, which is fixed; a new member may have one or the other."""
        of_users = self.fields
        if obj is not None:
            return ("segment", "key", *of_users[2:]) if obj.key else of_users
        return of_users if len(kinds()) == 1 else (*of_users[:2], "key", *of_users[2:])

    def get_readonly_fields(self, request: HttpRequest, obj: SegmentMember | None = None) -> Any:
        return ("segment", "key") if obj is not None and obj.key else ()

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("segment__key", f"user__{user_kind().title}")

    @admin.display(description=gettext_lazy("in force"), boolean=True)
    def in_force(self, member: SegmentMember) -> bool:
        """False if the membership has ended, or has not begun."""
        now = timezone.now()
        has_begun = member.starts_at is None or member.starts_at <= now
        return has_begun and (member.expires_at is None or member.expires_at > now)

    def confirm_trail(self, object_id: str | None, keys: str) -> list[Link]:
        address = reverse("admin:featureflags_segmentmember_changelist")
        return [segments_link(), Link(text=_("Members"), href=address)]

    def formfield_for_dbfield(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Field | None:
        """As Django's. The help texts of both instants name their time zone."""
        if db_field.name == "starts_at":
            kwargs["help_text"] = start_help()
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

    def save_model(
        self,
        request: HttpRequest,
        obj: SegmentMember,
        form: forms.ModelForm[SegmentMember],
        change: bool,
    ) -> None:
        """Raises NeedsConfirmation, and ValidationError."""
        wanted: list[tuple[SegmentMember, MemberState | None]] = [(obj, obj.as_state())]
        stored = SegmentMember.objects.filter(pk=obj.pk).first() if change else None
        if stored is not None and _place(stored) != _place(obj):
            wanted.insert(0, (stored, None))
        _write(request, wanted)
        written = SegmentMember.objects.filter(segment=obj.segment, user=obj.user, key=obj.key)
        obj.pk = written.values_list("pk", flat=True).first()

    def delete_model(self, request: HttpRequest, obj: SegmentMember) -> None:
        """Raises NeedsConfirmation."""
        _write(request, [(obj, None)])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SegmentMember]) -> None:
        """Raises NeedsConfirmation."""
        _write(request, [(member, None) for member in queryset.select_related("segment")])


def _place(member: SegmentMember) -> tuple[int, object]:
    return member.segment_id, member.row_key


def _write(
    request: HttpRequest, wanted: Iterable[tuple[SegmentMember, MemberState | None]]
) -> None:
    """Write these memberships, as one change of each segment. None: there is to be none."""
    segments: dict[Segment, dict[str, MemberState | None]] = {}
    for member, state in wanted:
        segments.setdefault(member.segment, {})[str(member.row_key)] = state
    changes = [membership_change(segment, members) for segment, members in segments.items()]
    write(request, *(change for change in changes if change.members))
