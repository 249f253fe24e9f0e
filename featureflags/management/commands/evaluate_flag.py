"""`evaluate_flag`: what a user gets for a flag, and why. No events are sent."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.evaluation import Evaluation, looking, variation_detail
from featureflags.evaluation.reasons import degradation_in_words, reason_in_words, source_in_words
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.snapshot import USER, kind_and_key
from featureflags.management.arguments import ROW_HELP, as_json, in_columns, on_one_line, subject
from featureflags.management.command import FlagCommand

HELP = """\
Show what a user, or another row, gets for a flag, and why. No events are sent to LaunchDarkly.

  manage.py evaluate_flag new-checkout --user ada@agpt.co
  manage.py evaluate_flag new-checkout --user 6d0c…-…-…  --json
  manage.py evaluate_flag seat-planner --user organization:acme
  manage.py evaluate_flag new-checkout --user ada@agpt.co --strict || echo "not sure"
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", metavar="KEY", help="the flag's key in LaunchDarkly")
        parser.add_argument("--user", required=True, metavar="EMAIL_OR_ID", help=ROW_HELP)
        parser.add_argument(
            "--strict",
            action="store_true",
            help="exit with 1 if the answer is degraded: a default, or from stale data",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        who = subject(options["user"])
        with looking(), unit_of_work():
            evaluation = variation_detail(options["key"], who)
            context = resolve(who)
        segments, key = context.segments, ":".join(kind_and_key(context.address))
        key = key.removeprefix(f"{USER}:")
        if options["json"]:
            data = {**evaluation.to_dict(), "user": key, "segments": list(segments)}
            self.stdout.write(as_json(data))
        else:
            self.stdout.write(f"{evaluation.flag} for {options['user']} ({key})")
            self.stdout.write("\n".join(in_columns(_rows(evaluation, segments))))
        if options["strict"] and evaluation.degraded:
            why = ", ".join(evaluation.degraded)
            raise CommandError(f"The answer is degraded: {why}.")


def _rows(evaluation: Evaluation, segments: tuple[str, ...]) -> list[tuple[str, str]]:
    rows = [
        ("value", on_one_line(evaluation.value)),
        ("reason", reason_in_words(evaluation)),
        ("segments", ", ".join(segments) or "none"),
        ("source", source_in_words(evaluation.source)),
    ]
    rows += [("degraded", degradation_in_words(why)) for why in evaluation.degraded]
    return rows if evaluation.degraded else [*rows, ("degraded", "no")]
