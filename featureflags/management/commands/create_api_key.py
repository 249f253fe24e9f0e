"""`create_api_key`: a key for a program. Its token is printed once and kept nowhere."""

from __future__ import annotations

import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from featureflags.kinds.registry import kind_and_text, user_kind
from featureflags.management.arguments import USER_HELP, as_json, subject
from featureflags.management.command import FlagCommand
from featureflags.models import ApiKey, Scope

LONGEST_DAYS = 36_500

HELP = """\
Create an API key for a program and print its token, once: only a hash of it is stored.

  manage.py create_api_key shop --scope evaluate
  manage.py create_api_key shop --scope evaluate --flag new-checkout --expires 90 --json
  manage.py create_api_key web --scope evaluate --origin https://shop.example.com
  manage.py create_api_key sync --scope write --owner ada@agpt.co

Scopes: evaluate (flags of anybody), read (also segments and users), write (also changes them).
A key that reads or writes has the permissions of its owner. Revoke a key in the admin.
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="which program uses the key, and where")
        parser.add_argument(
            "--scope", choices=Scope.values, required=True, help="what the key may do"
        )
        parser.add_argument(
            "--owner", metavar="EMAIL_OR_ID", help=f"for read and write: {USER_HELP}"
        )
        parser.add_argument(
            "--expires", type=int, metavar="DAYS", help="the key ends after so many days"
        )
        for name, meaning in (
            ("kind", "a kind of context that it may ask for (default: all)"),
            ("flag", "the key of a flag that it may ask for (default: all)"),
            ("origin", "an origin of browsers that may use it (default: any caller)"),
        ):
            parser.add_argument(
                f"--{name}",
                action="append",
                default=[],
                dest=f"{name}s",
                metavar=name.upper(),
                help=f"{meaning}; may be repeated",
            )

    def handle(self, *_args: Any, **options: Any) -> None:
        key = ApiKey(
            name=options["name"],
            scope=options["scope"],
            owner_id=_owner(options["scope"], options["owner"]),
            expires_at=_expiry(options["expires"]),
            **{name: options[name] for name in ("kinds", "flags", "origins")},
        )
        token = key.issue()
        try:
            key.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        key.save()
        if options["json"]:
            self.stdout.write(as_json({**_shown(key), "token": token}))
            return
        self.stderr.write("Keep the token now: nobody can read it again.")
        self.stdout.write(token)


def _owner(scope: str, email_or_id: str | None) -> Any:
    if scope == Scope.EVALUATE:
        if email_or_id is not None:
            raise CommandError("A key that only evaluates flags has no owner: leave out --owner.")
        return None
    if email_or_id is None:
        raise CommandError(f"A key of the scope “{scope}” needs --owner: it has their permissions.")
    kind, _ = kind_and_text(email_or_id)
    if kind is not user_kind():
        raise CommandError("The owner of a key is a user.")
    return getattr(subject(email_or_id), "pk", email_or_id)


def _expiry(days: int | None) -> datetime.datetime | None:
    if days is None:
        return None
    if not 1 <= days <= LONGEST_DAYS:
        raise CommandError(f"--expires takes 1 to {LONGEST_DAYS} days.")
    return timezone.now() + datetime.timedelta(days=days)


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.pk,
        "name": key.name,
        "prefix": key.prefix,
        "scope": key.scope,
        "owner": None if key.owner_id is None else str(key.owner_id),
        "kinds": key.kinds,
        "flags": key.flags,
        "origins": key.origins,
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
    }
