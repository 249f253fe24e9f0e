"""`show_context`: a user as LaunchDarkly sees them. No events are sent."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.times import to_rfc3339
from featureflags.evaluation.reasons import degradation_in_words, source_in_words
from featureflags.evaluation.resolve import resolve
from featureflags.management.arguments import ROW_HELP, as_json, in_columns, on_one_line, subject
from featureflags.management.command import FlagCommand

HELP = """\
Show a user, or another row, as LaunchDarkly sees them: attributes, which of them are private, and segments.

  manage.py show_context ada@agpt.co
  manage.py show_context ada@agpt.co --json | jq .segments
  manage.py show_context organization:acme
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", metavar="EMAIL_OR_ID", help=ROW_HELP)

    def handle(self, *_args: Any, **options: Any) -> None:
        context = resolve(subject(options["user"]))
        if options["json"]:
            document = {**context.to_dict(), "withheld_attributes": sorted(context.withheld)}
            self.stdout.write(as_json(document))
        else:
            self.stdout.write(_in_words(context))


def _in_words(context: SubjectContext) -> str:
    if context.parts:
        parts = (f"{each.context.kind}:\n{_in_words(each)}" for each in context.parts)
        return "\n\n".join(parts)
    shown = context.to_dict()
    private = set(shown["private_attributes"])
    rows = [
        (name, on_one_line(value) + ("  (private)" if name in private else ""))
        for name, value in shown["attributes"].items()
    ]
    until = context.valid_until
    ends = "until a write changes it" if until is None else f"until {to_rfc3339(until)}"
    lines = [*in_columns(rows), "", source_in_words(context.source), f"It holds {ends}."]
    if context.withheld:
        lines.append(f"Not sent, usable in segments: {', '.join(sorted(context.withheld))}.")
    return "\n".join(lines + [f"Degraded: {degradation_in_words(why)}" for why in context.degraded])
