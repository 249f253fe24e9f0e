"""The form that asks about whom and what to explain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.shared.pages import why_flag_page, why_segment_page
from featureflags.admin.shared.people import MOST_CANDIDATES, people_named
from featureflags.admin.shared.segment_finder import (
    MOST_LISTED,
    finder,
    listed_segments,
    served_flags,
)
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_and_text, kind_or_user, kinds, user_kind
from featureflags.models import Segment

ABOUT_LIST = "about-found"
"""The list of what was found; the template has it."""


class WhyForm(forms.Form):
    """The row, by default a user, and the segment or flag to explain."""

    user = forms.CharField(
        label=gettext_lazy("User"),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
    )
    about = forms.CharField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        help_text = _("%s, a part of it or of the name, or key.") % user_kind().title_label
        if others := [kind.name for kind in kinds()[1:]]:
            text = _("For a flag, the row of another kind is named as %s.")
            help_text += " " + text % ", ".join(f"{name}:…" for name in others)
        self.fields["user"].help_text = help_text
        self.fields["about"] = _about_field()

    candidates: Sequence[Any] = ()
    """The rows that a part of a name or address finds, if there are several."""

    def clean_user(self) -> Any:
        """The user with this key or address, or the only one whose name or address has this part.

        For a segment of another kind, and after `organization:`, the row of that kind.
        """
        kind, text = self.row_kind(), self._named()[1]
        first, *others = people_named(kind, text) or [None]
        if first is None:
            raise forms.ValidationError(_("Nobody has this key, or this in their name or address."))
        if others:
            self.candidates = [first, *others][:MOST_CANDIDATES]
            raise forms.ValidationError(_("Several users have this: choose one below."))
        return first

    def row_kind(self) -> CompiledKind:
        """Of the segment that was chosen; for a flag, the kind that is written before a colon."""
        what, key = self._about()
        chosen = Segment.objects.filter(key=key).first() if what == "segment" else None
        return self._named()[0] if chosen is None else kind_or_user(chosen.kind)

    def clean_about(self) -> str:
        """As `segment:paying` or `flag:beta`. Raises ValidationError for what there is not."""
        what, key = self._about()
        is_known = key in served_flags() if what == "flag" else self._is_segment(key)
        if not is_known:
            raise forms.ValidationError(_("There is no segment or flag with this key."))
        return f"{what}:{key}"

    def _about(self) -> tuple[str, str]:
        """What it is about, and its key: what is typed without “flag:” is the key of a segment."""
        text = str(self.data.get("about") or self.initial.get("about", "")).strip()
        what, colon, key = text.partition(":")
        return (what, key.strip()) if colon and what in {"segment", "flag"} else ("segment", text)

    def _is_segment(self, key: str) -> bool:
        return Segment.objects.filter(key=key).exists()

    def _named(self) -> tuple[CompiledKind, str]:
        """The kind that is written before a colon, else the user's, and the rest of the text."""
        kind, text = kind_and_text(self.data.get("user", "").strip())
        return kind, text.strip()

    def address(self) -> str:
        """The address of the answer."""
        what, _colon, about = self.cleaned_data["about"].partition(":")
        kind = self.row_kind()
        key = kind.key_of(self.cleaned_data["user"])
        return (
            why_segment_page(about, key) if what == "segment" else why_flag_page(kind, about, key)
        )


def _about_field() -> forms.Field:
    """A list of all segments and flags; where they are too many, a text that finds them."""
    label, flags = _("Segment or flag"), served_flags()
    segments = listed_segments(with_archived=True)
    if segments is None or len(segments) + len(flags) > MOST_LISTED:
        attrs = {
            "class": "vTextField",
            "autocomplete": "off",
            "list": ABOUT_LIST,
            "data-segments": finder(flags="1"),
        }
        help_text = _(
            "A part of the name or key finds it. Without a list: the key, or flag: and the key."
        )
        return forms.CharField(
            label=label, help_text=help_text, widget=forms.TextInput(attrs=attrs), max_length=300
        )
    return forms.ChoiceField(
        label=label,
        choices=[
            ("", _("Choose one")),
            (
                _("Segments"),
                [(f"segment:{key}", f"{key}: {name}") for key, name in sorted(segments)],
            ),
            (_("Flags"), [(f"flag:{key}", key) for key in flags]),
        ],
    )
