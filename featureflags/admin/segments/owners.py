"""The fields of a segment's form for tags and owner, and both in words for those who may only view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.shared.pages import kinds_seen, user_of
from featureflags.core.types import Account
from featureflags.kinds.registry import USER, user_kind
from featureflags.models import Segment
from featureflags.models.stored_forms import in_tag_form


class TagsField(forms.CharField):
    """Tags with commas or spaces between them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **{
                "required": False,
                "label": gettext_lazy("Tags"),
                "widget": forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
                "help_text": gettext_lazy(
                    "Words to find it by, such as a team or a campaign, with commas between them."
                ),
                **options,
            }
        )

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        text = value if isinstance(value, str) else ", ".join(value or ())
        return in_tag_form(text.replace(",", " ").split())

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != list(initial or ()))
        except forms.ValidationError:
            return True


if TYPE_CHECKING:
    RowField = forms.ModelChoiceField[Any]
else:
    RowField = forms.ModelChoiceField


class OwnerField(RowField):
    """A member of staff, by name; by title only for those who may see users."""

    sees_titles = False

    def label_from_instance(self, obj: Any) -> str:
        return owner_name(obj, sees_titles=self.sees_titles)


def owner_name(owner: Account, *, sees_titles: bool) -> str:
    """As the history names who acted."""
    kind = user_kind()
    title = kind.title_of_row(owner) if sees_titles else kind.key_of(owner)
    return kind.label_of_row(owner) or title


def owner_choices(request: HttpRequest, segment: Segment | None) -> QuerySet[Any]:
    """Who may own a segment: staff, for those who may see users; else oneself, and who owns it now."""
    rows = user_kind().rows()
    chosen = Q(pk=user_of(request).pk)
    if segment is not None and segment.owner_id is not None:
        chosen |= Q(pk=segment.owner_id)
    names = {field.name for field in user_kind().model._meta.get_fields()}
    if USER in kinds_seen(request) and "is_staff" in names:
        chosen |= Q(is_staff=True)
    return rows.filter(chosen).order_by(user_kind().title)


def tags_in_words(segment: Segment) -> str | SafeString:
    """For a page that only shows them."""
    if not segment.tags:
        return "–"  # noqa: RUF001 - as Django's admin shows that there is nothing
    return format_html_join(
        " ", '<span class="segment-tag">{}</span>', ((tag,) for tag in segment.tags)
    )


def owner_in_short(segment: Segment) -> str:
    """By name, never by address: who may see the segment may not see users."""
    if segment.owner is None:
        return _("Nobody")
    return owner_name(segment.owner, sees_titles=False)
