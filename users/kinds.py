"""The kind `user`: what LaunchDarkly and segments may know of an account."""

from __future__ import annotations

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from featureflags.kinds import (
    Boolean,
    DaysSince,
    Domain,
    Instant,
    Kind,
    Many,
    Metadata,
    Text,
)
from users.models import User


class UserKind(Kind):
    name = "user"
    model = User
    title = "email"
    label = "name"
    search = ("email", "name")
    listed = ("role", "created_at", "last_seen_at")
    active = Q(is_active=True)
    last_seen = "last_seen_at"
    created = "created_at"

    email = Text(
        "email",
        label=_("E-mail"),
        lower_case=True,
        private=True,
        user_writable=True,
        verified_by="email_verified",
    )
    email_domain = Domain(
        "email", label=_("E-mail domain"), user_writable=True, verified_by="email_verified"
    )
    email_verified = Boolean("email_verified", label=_("E-mail verified"))
    name_ = Text("name", label=_("Name"), blank_is_missing=True, private=True, user_writable=True)
    role = Text("role", label=_("Role"))
    groups = Many("groups__name", label=_("Groups"), loaded_as="group_names")
    is_staff = Boolean("is_staff", label=_("Staff"))
    created_at = Instant("created_at", label=_("Account created"))
    account_age_days = DaysSince("created_at", label=_("Account age in days"))
    last_seen_at = Instant("last_seen_at", label=_("Last seen"))
    days_since_last_seen = DaysSince("last_seen_at", label=_("Days since last seen"))
    metadata = Metadata("metadata")
