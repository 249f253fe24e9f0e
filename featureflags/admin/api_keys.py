"""API keys in the admin: made here, shown once, revoked here.

The token is in the answer to the form that made it and nowhere else: not in a message (which a session
would store), not in the log, not in the address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.shared.guarded_admin import BaseModelAdmin
from featureflags.admin.shared.pages import Link, respond, user_of
from featureflags.models import ApiKey, Scope

if TYPE_CHECKING:
    KeyModelForm = forms.ModelForm[ApiKey]
else:
    KeyModelForm = forms.ModelForm

LISTS: Final = {
    "kinds": (
        gettext_lazy("Kinds"),
        gettext_lazy("Kinds of contexts that it may ask for, one in each line. Empty: all."),
    ),
    "flags": (
        gettext_lazy("Flags"),
        gettext_lazy("Keys of flags that it may ask for, one in each line. Empty: all."),
    ),
    "origins": (
        gettext_lazy("Origins"),
        gettext_lazy(
            "For a key in a browser: the origins of its pages, such as https://shop.example.com, one in"
            " each line. Empty: any caller."
        ),
    ),
}


class LinesField(forms.CharField):
    """A list of names, one in each line."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 60, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        lines = [line.strip() for line in str(value or "").splitlines()]
        return list(dict.fromkeys(line for line in lines if line))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != (initial or []))


class ApiKeyForm(KeyModelForm):
    """One key. Its owner is the user who makes it, unless a superuser names another user."""

    caller: Any = None
    """Set by the admin: who makes the request."""

    kinds = LinesField(required=False, label=LISTS["kinds"][0], help_text=LISTS["kinds"][1])
    flags = LinesField(required=False, label=LISTS["flags"][0], help_text=LISTS["flags"][1])
    origins = LinesField(required=False, label=LISTS["origins"][0], help_text=LISTS["origins"][1])

    def _post_clean(self) -> None:
        """The owner is decided before the model is validated."""
        if self.instance._state.adding:
            scope = self.cleaned_data.get("scope")
            chosen = self.cleaned_data.get("owner") if self.caller.is_superuser else None
            owner = None if scope == Scope.EVALUATE else chosen or self.caller
            self.cleaned_data["owner"] = self.instance.owner = owner
        super()._post_clean()  # type: ignore[misc]  # Django's, without a type


@admin.register(ApiKey)
class ApiKeyAdmin(BaseModelAdmin[ApiKey]):
    """Keys by name. A key's scope and owner are fixed when it is made."""

    form = ApiKeyForm
    list_display = ("name", "prefix", "scope", "owner", "is_active", "expires_at", "last_used_at")
    list_filter = ("scope", "is_active")
    list_select_related = ("owner",)
    search_fields = ("name", "prefix")
    search_help_text = gettext_lazy("Name of the key, or the beginning of its token after gdn_.")
    raw_id_fields = ("owner",)
    ordering = ("name", "pk")

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        if obj is not None:
            return (
                *("name", "prefix", "scope", "owner", "is_active", "expires_at"),
                *(*LISTS, "created_at", "last_used_at"),
            )
        of_superusers = ("owner",) if request.user.is_superuser else ()
        return ("name", "scope", *of_superusers, "expires_at", *LISTS)

    def get_readonly_fields(
        self,
        request: HttpRequest,
        obj: ApiKey | None = None,
    ) -> tuple[str, ...]:
        fixed = ("prefix", "scope", "owner", "created_at", "last_used_at")
        return () if obj is None else fixed

    def get_form(
        self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[ApiKey]]:
        """As Django's, which makes a class for each request."""
        form = super().get_form(request, obj, change, **kwargs)
        form.caller = user_of(request)  # type: ignore[attr-defined]  # ours, as above
        return form

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if db_field.name == "owner":
            kwargs["help_text"] = _(
                "Whose permissions it has, for a key that reads or writes. Empty: you."
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(
        self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm[ApiKey], change: bool
    ) -> None:
        if not change:
            obj.issue()
        super().save_model(request, obj, form, change)

    def response_add(
        self,
        request: HttpRequest,
        obj: ApiKey,
        post_url_continue: str | None = None,
    ) -> HttpResponse:
        """The page with the token. It is never shown again."""
        trail = [Link(text=_("API keys"), href="../")]
        return respond(
            request,
            self.admin_site,
            "admin/featureflags/api_key.html",
            title=_("The key “%s”") % obj.name,
            trail=trail,
            key=obj,
            token=obj.token,
        )
