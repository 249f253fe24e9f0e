"""`check_segments`: regression cases for segments, for CI. It exits with 1 if one fails."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.cache.compiled_rules import current_ruleset
from featureflags.core.times import now_in_microseconds
from featureflags.management.command import FlagCommand
from featureflags.management.segment_output import read_json
from featureflags.segments.case_files import CaseResult, InvalidCases, run_cases

HELP = """\
Run cases for segments: definitions, a context, and in which segments it is expected to be.

  {"cases": [{"name": "an employee",
              "segments": [{"key": "employee", "rules": […]}],
              "context": {"kind": "user", "key": "u1", "email_domain": "agpt.co"},
              "expect": {"employee": true}}]}

  manage.py check_segments cases/*.json          with the definitions of the cases
  manage.py check_segments --live cases.json     with the segments of the database
"""


class Command(FlagCommand):
    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="JSON with a list “cases”")
        parser.add_argument(
            "--live",
            action="store_true",
            help="ask the segments of the database instead of the cases' own",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        definitions = None
        if options["live"]:
            definitions = list(current_ruleset().ruleset.definitions.values())
        now, results, unreadable = now_in_microseconds(), [], 0
        for path in options["files"]:
            try:
                results += run_cases(read_json(path), now=now, definitions=definitions)
            except InvalidCases as error:
                unreadable += 1
                for problem in error.problems:
                    self.stderr.write(f"{path}: {problem}")
        self._tell(results, unreadable, verbosity=options["verbosity"])

    def _tell(self, results: list[CaseResult], unreadable: int, *, verbosity: int) -> None:
        failed = [result for result in results if not result.passed]
        for result in results if verbosity > 1 else failed:
            self.stdout.write("\n".join(result.lines()))
        self.stdout.write(f"{len(results) - len(failed)} passed, {len(failed)} failed.")
        if unreadable:
            raise CommandError(f"{unreadable} of the files hold no cases that can be run.")
        if failed:
            raise CommandError(f"{len(failed)} expectations do not hold.")
