"""`invalidate_contexts`: drop cached entries after a write that the caches did not notice."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from featureflags.cache import invalidation, protocol
from featureflags.kinds.registry import kind_and_text
from featureflags.management.arguments import ROW_HELP
from featureflags.management.command import FlagCommand
from featureflags.models.versions import RulesetVersion

HELP = """\
Drop the cached entries of users and other rows, or of all segments, after a write to the database that bypassed
Django (psql, an import, another program). Run it after that write has been committed. With --everything
no entry of before is used any more: after a database was restored from a backup.

  manage.py invalidate_contexts ada@agpt.co 6d0c…-…-…
  manage.py invalidate_contexts organization:acme
  manage.py invalidate_contexts --all-segments
  manage.py invalidate_contexts --everything

In Python: featureflags.cache.invalidation.touched("user", keys), and
RulesetVersion.raise_version() in the transaction of the write to segments.
"""


class Command(FlagCommand):
    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("users", nargs="*", metavar="EMAIL_OR_ID", help=ROW_HELP)
        parser.add_argument(
            "--all-segments", action="store_true", help="the compiled rules of every process"
        )
        parser.add_argument(
            "--everything", action="store_true", help="all rows and all segments, at once"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if not options["users"] and not options["all_segments"] and not options["everything"]:
            raise CommandError("Name users or other rows, --all-segments, or --everything.")
        rows = [_address_of(text) for text in options["users"]]
        if rows:
            for kind in {kind for kind, _ in rows}:
                invalidation.touched(kind, [key for of, key in rows if of == kind])
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
        if rows:
            self.stdout.write(f"{len(rows)} {'row' if len(rows) == 1 else 'rows'} forgotten.")


def _address_of(text: str) -> tuple[str, str]:
    """Kind and key. A key is not looked up: its row may be deleted, which is a reason to run this."""
    kind, rest = kind_and_text(text)
    key = kind.canonical(rest)
    if kind.parse_key(key) is not None and not kind.has_text_keys:
        return kind.name, key
    row = kind.find(rest)
    if row is None and kind.has_text_keys:
        return kind.name, key
    if row is None:
        raise CommandError(f"There is no {kind.name} {rest!r}; nothing was forgotten.")
    return kind.name, kind.key_of(row)
