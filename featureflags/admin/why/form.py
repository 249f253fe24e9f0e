"""The form that asks about whom and what to explain."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from featureflags.admin.shared.pages import why_flag_page, why_segment_page
from featureflags.admin.shared.people import MOST_CANDIDATES, not_found, rows_named, too_many
from featureflags.admin.shared.segment_finder import (
    MOST_LISTED,
    finder,
    listed_segments,
    served_flags,
)
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.nouns import noun
from featureflags.kinds.registry import kind_named, kind_or_user, kinds
from featureflags.models import Segment

ABOUT_LIST = "about-found"
"""The list of what was found; the template has it."""


class WhyForm(forms.Form):
    """The row of a kind, and the segment or flag to explain."""

    user = forms.CharField(
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
    )
    about = forms.CharField()

    def __init__(self, *args: Any, seen: Collection[str], **kwargs: Any) -> None:
        """`seen`: the kinds whose rows the reader may see."""
        super().__init__(*args, **kwargs)
        self._seen = seen
        self.fields["user"].label, self.fields["user"].help_text = _who(self.kinds_asked())
        self.fields["about"] = _about_field()

    candidates: Sequence[tuple[CompiledKind, Any]] = ()
    """The rows that a part of a name or address finds, if there are several."""

    def clean_user(self) -> tuple[CompiledKind, Any]:
        """The row with this key or title, or the only one whose name or address has this part, and its kind."""
        asked = self.kinds_asked()
        found = rows_named(asked, self._named()[1])
        if not found:
            raise forms.ValidationError(not_found(asked))
        if len(found) > 1:
            self.candidates = found[:MOST_CANDIDATES]
            raise forms.ValidationError(too_many(len(found)))
        return found[0]

    def kinds_asked(self) -> list[CompiledKind]:
        """The kind of the segment that was chosen. For a flag, the kind before a colon, as `organization:acme`
        has it, else all whose rows the reader may see: a flag answers each of them.
        """
        what, key = self._about()
        chosen = Segment.objects.filter(key=key).first() if what == "segment" else None
        if chosen is not None:
            return [kind_or_user(chosen.kind)]
        named = self._named()[0]
        return [kind for kind in kinds() if kind.name in self._seen] if named is None else [named]

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

    def _named(self) -> tuple[CompiledKind | None, str]:
        """The kind that is written before a colon, if there is one, and the rest of the text."""
        text = str(self.data.get("user", "")).strip()
        name, colon, rest = text.partition(":")
        kind = kind_named(name) if colon else None
        return (None, text) if kind is None else (kind, rest.strip())

    def address(self) -> str:
        """The address of the answer."""
        what, _colon, about = self.cleaned_data["about"].partition(":")
        kind, row = self.cleaned_data["user"]
        key = kind.key_of(row)
        return (
            why_segment_page(about, key) if what == "segment" else why_flag_page(kind, about, key)
        )


def _who(asked: Sequence[CompiledKind]) -> tuple[str, str]:
    """The label of the field that names a row of these kinds, and its help text."""
    help_text = _("A part of a name or address, or a key.")
    if len(asked) == 1:
        return capfirst(noun(asked[0].name, 1)), help_text
    named = ", ".join(f"{kind.name}:…" for kind in asked)
    return _("Who or what"), f"{help_text} {_('Of one kind only: %s.') % named}"


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
