"""The app `users`."""

from __future__ import annotations

from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "users"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Signal receivers and checks register themselves when imported, after the models.
        from users import checks, receivers  # noqa: F401, PLC0415
