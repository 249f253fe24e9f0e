"""Users in Django's admin. It imports nothing of `featureflags`: a template adds the link there."""

from __future__ import annotations

import datetime
import uuid
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.shared.checked_lookups import CheckedLookups
from featureflags.admin.shared.json_forms import JSONTextField
from featureflags.admin.shared.kept_choice import KeptChoice
from users.admin_filters import LastSeenFilter, SegmentFilter
from users.fields import MetadataField
from users.forms import UserCreateForm, UserEditForm
from users.models import User

if TYPE_CHECKING:
    BaseUserAdmin = DjangoUserAdmin[User]
else:
    BaseUserAdmin = DjangoUserAdmin


@admin.register(User)
class UserAdmin(KeptChoice[User], CheckedLookups[User], BaseUserAdmin):
    """Accounts by e-mail. A search for a key, as LaunchDarkly shows it, finds its account."""

    form = UserEditForm
    add_form = UserCreateForm
    formfield_overrides = {
        MetadataField: {
            "form_class": JSONTextField,
            "empty": dict,
            "help_text": gettext_lazy(
                "A JSON object. Each NAME in it is the attribute custom_NAME."
            ),
        }
    }
    list_display = (
        "email",
        "name",
        "role",
        "email_verified",
        "last_seen_on",
        "created_on",
        "is_active",
    )
    list_filter = (
        SegmentFilter,
        "role",
        "email_verified",
        LastSeenFilter,
        "created_at",
        "is_active",
        "is_staff",
    )
    # Counting each choice would scan all users each time.
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("email", "name")
    search_help_text = gettext_lazy("E-mail, name, or the whole key of a user.")
    ordering = ("email",)
    # It would count a table of millions a second time.
    show_full_result_count = False
    readonly_fields = ("key", "last_login", "last_seen_at")
    fieldsets = (
        (None, {"fields": ("key", "email", "email_verified", "password")}),
        (gettext_lazy("Profile"), {"fields": ("name", "role", "metadata")}),
        (
            gettext_lazy("Permissions"),
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        (gettext_lazy("Dates"), {"fields": ("created_at", "last_login", "last_seen_at")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "name", "role", "usable_password", "password1", "password2"),
            },
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """As Django's, which shows the hash's parameters also to users who may only look."""
        given: Any = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return given
        return [
            (name, {**each, "fields": [one for one in each["fields"] if one != "password"]})
            for name, each in given
        ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """By e-mail and name; a UUID is looked up as the key."""
        try:
            key = uuid.UUID(search_term.strip())
        except ValueError:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(pk=key), False

    @admin.display(description=gettext_lazy("last seen"), ordering="last_seen_at")
    def last_seen_on(self, user: User) -> str:
        """Only the day. The user's own page has the time."""
        return _("Never") if user.last_seen_at is None else _day(user.last_seen_at)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created_on(self, user: User) -> str:
        return _day(user.created_at)

    @admin.display(description=gettext_lazy("LaunchDarkly key"))
    def key(self, user: User) -> str:
        """The primary key as LaunchDarkly writes it."""
        return str(user.pk)

    def save_model(
        self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool
    ) -> None:
        """Save, and warn if the changed address is no longer verified."""
        super().save_model(request, obj, form, change)
        if change and _lost_verification(obj, form):
            text = _(
                "The e-mail address changed, so “e-mail verified” was cleared. "
                "Set it again once the new address is verified."
            )
            self.message_user(request, text, messages.WARNING)


def _lost_verification(user: User, form: ModelForm[Any]) -> bool:
    """True if the address changed and had been verified, or was in the form."""
    before = str(form.initial.get("email", ""))
    marked = form.initial.get("email_verified") or form.cleaned_data.get("email_verified")
    return before.lower() != user.email and bool(marked) and not user.email_verified


def _day(moment: datetime.datetime) -> str:
    return formats.date_format(timezone.localdate(moment), "SHORT_DATE_FORMAT")
