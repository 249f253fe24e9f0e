"""`explain_flag`: why a row gets the value of a flag, condition by condition. No events are sent."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.evaluation import looking, variation_detail
from featureflags.evaluation.reasons import degradation_in_words, reason_in_words
from featureflags.evaluation.resolve import resolve
from featureflags.flags.declared import declared_flags
from featureflags.inspection.flag_explanation import explain_flag
from featureflags.inspection.flag_traces import lines, traces
from featureflags.launchdarkly.client import feature_store
from featureflags.management.arguments import ROW_HELP, as_json, on_one_line, row_named
from featureflags.management.command import FlagCommand

HELP = """\
Explain why a user, or another row, gets the value of a flag: each rule, each condition, and what was seen.
No events are sent to LaunchDarkly.

  manage.py explain_flag new-checkout ada@agpt.co
  manage.py explain_flag new-checkout ada@agpt.co --json | jq .explanation.decided_by
  manage.py explain_flag seat-planner organization:acme
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", metavar="KEY", help="the flag's key in LaunchDarkly")
        parser.add_argument("user", metavar="EMAIL_OR_ID", help=ROW_HELP)

    def handle(self, *_args: Any, **options: Any) -> None:
        kind, row = row_named(options["user"])
        flag = options["key"]
        with looking(), unit_of_work():
            evaluation = variation_detail(flag, row)
            found = resolve(row)
            data, context = feature_store().raw(), found.context.to_dict()
            explanation = explain_flag(flag, data, context, evaluation.reason, found.all_segments)
        if explanation is None and flag not in declared_flags():
            raise CommandError(f"There is no flag {flag!r}.")
        if options["json"]:
            shown = None if explanation is None else traces(explanation)
            about = {"kind": kind.name, "key": kind.key_of(row)}
            answer = evaluation.to_dict()
            self.stdout.write(as_json({**about, "answer": answer, "explanation": shown}))
            return
        value = on_one_line(evaluation.value)
        self.stdout.write(f"{flag} is {value} for {options['user']}: {reason_in_words(evaluation)}")
        for reason in evaluation.degraded:
            self.stdout.write(degradation_in_words(reason))
        if explanation is not None:
            if not explanation.agrees:
                self.stdout.write("LaunchDarkly's answer differs from the rules shown here.")
            for line in lines(explanation):
                self.stdout.write(line)
