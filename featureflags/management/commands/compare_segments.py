"""`compare_segments`: how two or three segments overlap."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.audience import NotComparable, Overlap, Place, overlap_of, places
from featureflags.management.arguments import KEY_HELP, as_json, in_columns, ruleset_with_segment
from featureflags.management.command import FlagCommand

HELP = """\
Count how two or three segments overlap: who is in both, and who is in one and not in the other.

  manage.py compare_segments paying beta
  manage.py compare_segments paying beta employee --json

The segments are of one kind. Exits with 1 for a segment that does not exist.
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("segments", nargs="+", metavar="SEGMENT", help=KEY_HELP)

    def handle(self, *_args: Any, **options: Any) -> None:
        keys: list[str] = options["segments"]
        ruleset = ruleset_with_segment(keys[0])
        for key in keys[1:]:
            ruleset_with_segment(key)
        try:
            found = overlap_of(ruleset, keys)
        except NotComparable as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(as_json(_as_data(found)))
            return
        sizes = [(key, f"{found.size(key):,}") for key in keys]
        parts = [(_words(keys, place), f"{found.counts[place]:,}") for place in places(len(keys))]
        self.stdout.write("\n".join(in_columns([*sizes, *parts])))


def _as_data(found: Overlap) -> dict[str, Any]:
    return {
        "segments": {key: found.size(key) for key in found.keys},
        "rows": found.rows,
        "parts": [
            {
                "in": [key for key, is_in in zip(found.keys, place, strict=True) if is_in],
                "not_in": [key for key, is_in in zip(found.keys, place, strict=True) if not is_in],
                "count": found.counts[place],
            }
            for place in places(len(found.keys))
        ],
    }


def _words(keys: list[str], place: Place) -> str:
    within = [key for key, is_in in zip(keys, place, strict=True) if is_in]
    outside = [key for key, is_in in zip(keys, place, strict=True) if not is_in]
    if not within:
        return "in none of them"
    text = f"in {' and '.join(within)}"
    return f"{text}, not in {' or '.join(outside)}" if outside else text
