"""Which rows change a user's snapshot. Database triggers watch them, see `featureflags.capture`."""

from __future__ import annotations

from featureflags.capture.watches import Watch
from users.models import User

COLUMNS = (
    *("email", "email_verified", "name", "role", "is_staff", "is_active"),
    *("created_at", "last_seen_at", "metadata"),
)
"""What `users.snapshots.UserSnapshot` is made from, beside the groups."""

WATCHES = (
    Watch.own("user", User, COLUMNS),
    *Watch.of_relation("user", User, "groups", ["name"]),
)
