"""`invalidate_contexts`: drop cached entries after a write that the caches did not notice."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from featureflags.cache import invalidation, protocol
from featureflags.cache.entries import USER
from featureflags.kinds.registry import user_kind
from featureflags.management.arguments import USER_HELP, as_key
from featureflags.management.command import FlagCommand
from featureflags.models.versions import RulesetVersion

HELP = """\
Drop the cached entries of users, or of all segments, after a write to the database that bypassed
Django (psql, an import, another program). Run it after that write has been committed. With --everything
no entry of before is used any more: after a database was restored from a backup.

  manage.py invalidate_contexts ada@agpt.co 6d0c…-…-…
  manage.py invalidate_contexts --all-segments
  manage.py invalidate_contexts --everything

In Python: featureflags.cache.invalidation.touched("user", keys), and
RulesetVersion.raise_version() in the transaction of the write to segments.
"""


class Command(FlagCommand):
    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("users", nargs="*", metavar="EMAIL_OR_ID", help=USER_HELP)
        parser.add_argument(
            "--all-segments", action="store_true", help="the compiled rules of every process"
        )
        parser.add_argument(
            "--everything", action="store_true", help="all users and all segments, at once"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if not options["users"] and not options["all_segments"] and not options["everything"]:
            raise CommandError("Name users, --all-segments, or --everything.")
        keys = [_key_of(user) for user in options["users"]]
        if keys:
            invalidation.touched(USER, keys)
            if not protocol.notify_pending():
                raise CommandError(
                    "The cache cannot be reached. Its old entries go within 5 seconds of its return."
                )
        if options["all_segments"]:
            with transaction.atomic():
                RulesetVersion.raise_version()
            self.stdout.write("Every process reads the segments anew.")
        if options["everything"]:
            invalidation.raise_epoch()
            self.stdout.write("No entry of before is used any more.")
        if keys:
            self.stdout.write(f"{len(keys)} users forgotten.")


def _key_of(email_or_id: str) -> str:
    """A key is not looked up: its row may be deleted, which is a reason to run this."""
    key = as_key(email_or_id)
    if key is not None:
        return key
    user = user_kind().find(email_or_id)
    if user is None:
        raise CommandError(f"There is no user {email_or_id!r}; nothing was forgotten.")
    return user_kind().key_of(user)
