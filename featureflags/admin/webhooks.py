"""Webhooks in the admin: made here, with their secret shown once, and each delivery with its attempts.

The secret is in the answer to the form that made it and nowhere else. The address may be a secret too: it
is on the page of the webhook alone, and in no list, log or message.
"""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from featureflags.admin.shared.guarded_admin import BaseModelAdmin
from featureflags.admin.shared.pages import Link, respond
from featureflags.core.conf import app_settings
from featureflags.core.outgoing import Refused, target_of
from featureflags.models import EventType, Webhook, WebhookDelivery
from featureflags.models.webhooks import LONGEST_URL, new_salt
from featureflags.webhooks import queue

SECRET, TEST = "_new_secret", "_send_test"
"""The names of buttons of the form."""


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker alone
    """One webhook."""

    url = forms.URLField(
        label=gettext_lazy("Address"),
        max_length=LONGEST_URL,
        assume_scheme="https",
        help_text=gettext_lazy("https://… on a public host. It is in no list and no log."),
        widget=forms.URLInput(attrs={"class": "vURLField"}),
    )
    events = forms.MultipleChoiceField(
        required=False,
        label=gettext_lazy("Events"),
        choices=EventType,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None chosen: all of them."),
    )

    def clean_url(self) -> str:
        """Refuse now what would be refused when it is sent. Where the host leads is asked then."""
        url: str = self.cleaned_data["url"]
        try:
            target_of(url, private_too=app_settings().webhook_private_addresses)
        except Refused as error:
            raise forms.ValidationError(str(error)) from None
        return url


@admin.register(Webhook)
class WebhookAdmin(BaseModelAdmin[Webhook]):
    """Webhooks by name."""

    form = WebhookForm
    fields = ("name", "url", "format", "events", "is_active", "created_at")
    readonly_fields = ("created_at",)
    list_display = ("name", "events_in_words", "is_active", "last_delivery")
    search_fields = ("name",)
    change_form_template = "admin/featureflags/webhook_form.html"

    @admin.display(description=gettext_lazy("events"))
    def events_in_words(self, hook: Webhook) -> str:
        chosen = [str(EventType(each).label) for each in hook.events]
        return "; ".join(chosen) or _("All")

    @admin.display(description=gettext_lazy("last delivery"))
    def last_delivery(self, hook: Webhook) -> str:
        row = hook.deliveries.first()
        return "" if row is None else f"{row} ({row.get_state_display()})"

    def response_add(
        self, request: HttpRequest, obj: Webhook, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._secret_page(request, obj)

    def response_change(self, request: HttpRequest, obj: Webhook) -> HttpResponse:
        """As Django's, for two buttons more."""
        if SECRET in request.POST:
            obj.salt = new_salt()
            obj.save(update_fields=["salt"])
            self.log_change(request, obj, "A new secret was made.")
            return self._secret_page(request, obj)
        if TEST in request.POST:
            Webhook.objects.test(obj)
            self.message_user(request, _("A test is on its way. See “Deliveries”."))
            return HttpResponseRedirect(request.get_full_path())
        return super().response_change(request, obj)

    def _secret_page(self, request: HttpRequest, hook: Webhook) -> HttpResponse:
        response = respond(
            request,
            self.admin_site,
            "admin/featureflags/webhook_secret.html",
            title=_("The webhook “%s”") % hook.name,
            trail=[Link(text=_("Webhooks"), href="../")],
            hook=hook,
            secret=hook.secrets()[0],
        )
        response["Cache-Control"] = "no-store"
        return response


def _deletes_webhook(request: HttpRequest) -> bool:
    """Django asks for each kind of row that goes with another."""
    match = request.resolver_match
    return match is not None and str(match.url_name).startswith("featureflags_webhook_")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(BaseModelAdmin[WebhookDelivery]):
    """Every delivery of the last days, read only, and a way to send it once more."""

    list_display = ("created_at", "webhook", "event", "state", "last_attempt", "next_attempt_at")
    list_filter = ("state", "event", "webhook")
    list_select_related = ("webhook",)
    date_hierarchy = "created_at"
    actions = ("send_again",)
    fields = (
        *("uid", "webhook", "event", "state", "created_at", "next_attempt_at"),
        *("attempts_in_words", "content"),
    )
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Deliveries are written with what they announce."""
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: WebhookDelivery | None = None
    ) -> bool:
        """Old ones are deleted automatically, and those of a webhook with it."""
        return _deletes_webhook(request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        hidden = {"show_save": False, "show_save_and_continue": False}
        return super().change_view(
            request, object_id, form_url, {**hidden, **(extra_context or {})}
        )

    @admin.display(description=gettext_lazy("last attempt"))
    def last_attempt(self, row: WebhookDelivery) -> str:
        if not row.attempts:
            return _("None yet")
        last = row.attempts[-1]
        return last["problem"] or str(last["status"])

    @admin.display(description=gettext_lazy("attempts"))
    def attempts_in_words(self, row: WebhookDelivery) -> str:
        lines = [
            f"{each['at']}: {each['problem'] or each['status']} ({each['milliseconds']} ms)"
            for each in row.attempts
        ]
        return "\n".join(lines) or _("None yet")

    @admin.display(description=gettext_lazy("body"))
    def content(self, row: WebhookDelivery) -> SafeString:
        shown = json.dumps(json.loads(row.body), indent=2, ensure_ascii=False)
        return format_html("<pre>{}</pre>", shown)

    @admin.action(
        description=gettext_lazy("Send the selected deliveries again"), permissions=["change"]
    )
    def send_again(self, request: HttpRequest, rows: QuerySet[WebhookDelivery]) -> None:
        number = queue.repeat(rows)
        words = ngettext("%d delivery is sent again.", "%d deliveries are sent again.", number)
        self.message_user(request, words % number, messages.SUCCESS)
