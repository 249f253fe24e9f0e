"""`reset_second_factor EMAIL`: for staff whose phone is lost."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser

from config.second_factor import devices
from featureflags.management.command import FlagCommand


class Command(FlagCommand):
    help = (
        "Delete the second factor of one person. They register a new one after"
        " their next login: make sure first that it is them who asks."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="of the account")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not settings.STAFF_TOTP:
            raise CommandError("STAFF_TOTP is off, so that nobody has a second factor.")
        user = get_user_model().objects.filter(email=options["email"]).first()
        if user is None:
            raise CommandError(f"There is no account {options['email']!r}.")
        count, _ = devices().filter(user=user).delete()
        self.stdout.write(f"{count} device(s) deleted.")
