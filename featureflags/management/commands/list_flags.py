"""`list_flags`: the flags and segments that LaunchDarkly serves. Read-only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from featureflags.flags.declared import declared_flags
from featureflags.inspection.flag_parsing import RuleView, flag_in_words, flags, segments
from featureflags.inspection.flags_using_segment import uses_by_flag
from featureflags.management.arguments import as_json, launchdarkly_data
from featureflags.management.command import FlagCommand

HELP = """\
List the flags that LaunchDarkly serves to this project, with their rules in words, and its own
segments. No events are sent to LaunchDarkly.

  manage.py list_flags
  manage.py list_flags --json | jq '.flags[] | select(.on) | .key'

Exits with 2 if LaunchDarkly has not sent any flags.
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def handle(self, *_args: Any, **options: Any) -> None:
        data = launchdarkly_data()
        declared = declared_flags()
        if options["json"]:
            uses = uses_by_flag(data)
            document = {
                "flags": [
                    {
                        **flag.to_dict(),
                        "declared": flag.key in declared,
                        "django_segments": sorted({use.segment for use in uses[flag.key]}),
                    }
                    for flag in flags(data)
                ],
                "segments": [segment.to_dict() for segment in segments(data)],
            }
            self.stdout.write(as_json(document))
            return
        for flag in flags(data):
            known = "" if flag.key in declared else "  (not declared)"
            self.stdout.write(f"{flag.key}: {flag_in_words(flag)}{known}")
            self._write(f"  {line}" for line in flag.targeting)
            self._write([f"  while it is off → {flag.off.words}"])
        for segment in segments(data):
            self.stdout.write(
                f"LaunchDarkly's segment {segment.key}: {segment.included} included, "
                f"{segment.excluded} excluded"
            )
            self._write(_lines(segment.rules))

    def _write(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)


def _lines(rules: Iterable[RuleView]) -> Iterator[str]:
    for rule in rules:
        yield f"  {rule.name}: {rule.words}"
