"""The pages of users in the admin."""

from __future__ import annotations

import json
from typing import Any

from django.urls import reverse

from users.models import User

LIST = reverse("admin:users_user_changelist")


def form(user: User, **fields: Any) -> dict[str, Any]:
    """What a browser sends from the page of `user`; None leaves a field out."""
    metadata = fields.pop("metadata", user.metadata)
    data = {
        "email": user.email,
        "email_verified": "on" if user.email_verified else None,
        "name": user.name,
        "role": user.role,
        "metadata": metadata if isinstance(metadata, str) else json.dumps(metadata),
        "is_active": "on" if user.is_active else None,
        "created_at_0": user.created_at.strftime("%Y-%m-%d"),
        "created_at_1": user.created_at.strftime("%H:%M:%S"),
        **fields,
    }
    return {name: value for name, value in data.items() if value is not None}
