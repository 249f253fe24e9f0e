"""Login by e-mail in any case, with the group names loaded in the query that reads the user."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend

from users.models import User


class EmailBackend(ModelBackend):
    """Django's own backend. `User.email` folds case in every look-up."""

    def get_user(self, user_id: Any) -> User | None:
        user = User.objects.with_group_names().filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
