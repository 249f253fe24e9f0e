"""Forms that include or exclude users by name: one user, or a list of them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminSplitDateTime, AutocompleteSelect
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from featureflags.editing import (
    LARGEST_FILE,
    FoundMembers,
    LineRemark,
    UnreadableFile,
    decode_file,
    find_members,
    read_member_list,
    too_large,
)
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER, kind_or_user, user_kind
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import MemberState

ALL, FOUND = "all", "found"
ADD, REPLACE = "add", "replace"


class MembershipForm(forms.Form):
    """A membership: in or out, why, since when and until when."""

    class Media:
        # The calendar needs it and does not declare it.
        js = ["admin/js/core.js"]

    kind = forms.ChoiceField(
        label=gettext_lazy("In or out"),
        choices=[
            (SegmentMember.Kind.INCLUDE, gettext_lazy("Included, whatever the rules say")),
            (SegmentMember.Kind.EXCLUDE, gettext_lazy("Excluded, whatever the rules say")),
        ],
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    starts_at = forms.SplitDateTimeField(
        label=gettext_lazy("From"), required=False, widget=AdminSplitDateTime()
    )
    expires_at = forms.SplitDateTimeField(
        label=gettext_lazy("Until"), required=False, widget=AdminSplitDateTime()
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["starts_at"].help_text = start_help()
        self.fields["expires_at"].help_text = expiry_help()

    def clean_expires_at(self) -> datetime.datetime | None:
        """Raises ValidationError for a moment that has passed."""
        moment: datetime.datetime | None = self.cleaned_data["expires_at"]
        if moment is not None and moment <= timezone.now():
            raise ValidationError(_("This moment has passed already."))
        starts: datetime.datetime | None = self.cleaned_data.get("starts_at")
        if moment is not None and starts is not None and starts >= moment:
            raise ValidationError(_("This must be later than the beginning."))
        return moment

    def state(self) -> MemberState:
        """The membership that the form describes."""
        found = self.cleaned_data
        return MemberState(
            kind=found["kind"],
            reason=found["reason"],
            starts_at=found["starts_at"],
            expires_at=found["expires_at"],
        )


def start_help() -> str:
    """The time zone of a beginning, and what an empty one means."""
    zone = timezone.get_current_timezone_name()
    return _("In the time zone %s. Empty: at once.") % zone


def expiry_help() -> str:
    """The time zone of an expiry, and what an empty one means."""
    zone = timezone.get_current_timezone_name()
    return _("In the time zone %s. Empty: until somebody removes it.") % zone


class UserSelect(AutocompleteSelect):
    """As Django's. A text that is not a key selects nobody, and does not break the page."""

    def optgroups(self, name: str, value: Sequence[str], attrs: Any = None) -> Any:
        return super().optgroups(name, [key for key in value if is_key(key)], attrs)


def is_key(text: str, kind: CompiledKind | None = None) -> bool:
    """True if a text can be the key of a user, or of a row of another kind."""
    kind = kind or user_kind()
    return kind.parse_key(kind.canonical(text)) is not None


class MemberForm(MembershipForm):
    """One user, found as their address or name is typed."""

    user = forms.ModelChoiceField(
        label=gettext_lazy("User"),
        queryset=user_kind().rows(),
        widget=UserSelect(
            SegmentMember._meta.get_field("user"),
            admin.site,
        ),
    )
    field_order = ["user", "kind", "reason", "starts_at", "expires_at"]

    def row_key(self) -> str:
        """The key of the chosen user."""
        return str(self.cleaned_data["user"].pk)


class KeyForm(MembershipForm):
    """One row of another kind, by its key, or by a title that no other row has."""

    row = forms.CharField(widget=forms.TextInput(attrs={"class": "vTextField"}), max_length=255)
    field_order = ["row", "kind", "reason", "starts_at", "expires_at"]

    def __init__(self, *args: Any, kind: CompiledKind, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kind = kind
        self.fields["row"].label = capfirst(kind.name)
        self.fields["row"].help_text = _("%s or key.") % kind.title_label

    def clean_row(self) -> str:
        """The key. Raises ValidationError for what names no row, or several."""
        kind, text = self._kind, self.cleaned_data["row"].strip()
        key = kind.canonical(text)
        if kind.existing([key]):
            return key
        found = kind.keys_by_title([text]).get(text, [])
        if len(found) == 1:
            return found[0]
        words = _("There is no %(kind)s with this key or name.")
        if found:
            words = _("%(number)d rows have this name. Write the key instead.")
        raise ValidationError(words % {"kind": kind.name, "number": len(found)})

    def row_key(self) -> str:
        """The key of the chosen row."""
        return str(self.cleaned_data["row"])


def form_for(segment: Segment, data: Any = None, **options: Any) -> MemberForm | KeyForm:
    """The form that adds a member to this segment."""
    kind = kind_or_user(segment.kind)
    if kind.name == USER:
        return MemberForm(data, **options)
    return KeyForm(data, kind=kind, **options)


class ImportForm(MembershipForm):
    """A list of users, pasted or uploaded. `found` and `problems` hold the result."""

    text = forms.CharField(
        label=gettext_lazy("Paste a list"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "vLargeTextField", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "E-mails or keys of users, one per line or with commas between, or a whole CSV. Columns"
            " called kind, reason, starts_at and expires_at, as in an export, override what you choose"
            " below."
        ),
    )
    file = forms.FileField(
        label=gettext_lazy("Or upload a CSV"),
        required=False,
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,text/csv,text/plain"}),
        help_text=gettext_lazy("UTF-8, 2 MB at most."),
    )
    others = forms.ChoiceField(
        label=gettext_lazy("Members who are not on it"),
        choices=[
            (ADD, gettext_lazy("They stay: add to the list")),
            (REPLACE, gettext_lazy("They are removed: replace the list")),
        ],
        initial=ADD,
        required=False,
        widget=forms.RadioSelect,
    )
    missing = forms.ChoiceField(
        label=gettext_lazy("If somebody is not found"),
        choices=[
            (ALL, gettext_lazy("Import nobody, and list who is missing")),
            (FOUND, gettext_lazy("Import those who are found")),
        ],
        initial=ALL,
        widget=forms.RadioSelect,
    )
    field_order = [
        *("text", "file", "others", "kind", "reason", "starts_at", "expires_at", "missing")
    ]

    def __init__(
        self, stored: Mapping[str, MemberState], *args: Any, kind: CompiledKind, **kwargs: Any
    ) -> None:
        """`stored`: the members of the segment, by key. `kind`: whose rows they are."""
        super().__init__(*args, **kwargs)
        self._stored = stored
        self._kind = kind
        if kind.name != USER:
            self.fields["text"].help_text = _(
                "Keys or names, one per line or with commas between, or a whole CSV. Columns called kind,"
                " reason, starts_at and expires_at, as in an export, override what you choose below."
            )

    found: FoundMembers | None = None
    problems: tuple[LineRemark, ...] = ()

    def clean(self) -> dict[str, Any]:
        """Find the users. Raises ValidationError if nobody is to be imported."""
        super().clean()
        cleaned = self.cleaned_data
        text = cleaned.get("text") or ""
        if text.strip() and cleaned.get("file"):
            raise ValidationError(_("Paste a list or upload a file, not both."))
        if cleaned.get("file"):
            text = self.text_of_file()
        if not text.strip():
            raise ValidationError(_("Paste a list, or choose a file."))
        if not self.errors:
            self._find(text)
        return cleaned

    @property
    def wanted(self) -> dict[str, MemberState | None]:
        """The membership that each user is to have; None: there is to be none."""
        members = {} if self.found is None else dict(self.found.members)
        gone = self._stored if self.cleaned_data["others"] == REPLACE else ()
        return {**dict.fromkeys(gone), **members}

    def text_of_file(self) -> str:
        """The text of the file. Raises ValidationError."""
        uploaded = self.cleaned_data["file"]
        if uploaded.size > LARGEST_FILE:
            raise ValidationError(too_large())
        uploaded.seek(0)
        try:
            return decode_file(uploaded.read())
        except UnreadableFile as error:
            raise ValidationError(str(error)) from error

    def _find(self, text: str) -> None:
        try:
            read = read_member_list(text, self._kind)
        except UnreadableFile as error:
            raise ValidationError(str(error)) from error
        self.found = find_members(read, self.state(), self._stored, self._kind)
        self.problems = tuple(sorted((*read.problems, *self.found.problems)))
        if not self.found.members:
            raise ValidationError(_("Nobody of the list is found."))
        if self.problems and self.cleaned_data["missing"] == ALL:
            count = len(self.problems)
            text = ngettext("%d line has a problem.", "%d lines have a problem.", count)
            raise ValidationError(f"{text % count} {_('Nobody is imported.')}")
