"""`check_segments`: regression cases for segments, for CI. It exits with 1 if one fails."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from featureflags.audience import lint_segment
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.core.times import now_in_microseconds
from featureflags.management.arguments import add_kind, read_json, segments_of_kind
from featureflags.management.command import FlagCommand
from featureflags.segments.case_files import CaseResult, InvalidCases, run_cases

HELP = """\
Run cases for segments: definitions, a context, and in which segments it is expected to be.
With --lint: name what is odd about the segments of the database, and how to mend it.

  {"cases": [{"name": "who pays",
              "segments": [{"key": "paying", "rules": […]}],
              "context": {"kind": "user", "key": "u1", "plan": "pro"},
              "expect": {"paying": true}}]}

  manage.py check_segments cases/*.json          with the definitions of the cases
  manage.py check_segments --live cases.json     with the segments of the database
  manage.py check_segments --lint --json         contradictions, duplicates, values that nobody has
  manage.py check_segments --lint --kind organization
"""

LINT_SECONDS: Final = 60.0
"""For one segment: nobody waits for a page."""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="*", metavar="FILE", help="JSON with a list “cases”")
        parser.add_argument(
            "--lint",
            action="store_true",
            help="name what is odd about the rules of the segments in the database",
        )
        add_kind(parser)
        parser.add_argument(
            "--live",
            action="store_true",
            help="ask the segments of the database instead of the cases' own",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if not options["files"] and not options["lint"]:
            raise CommandError("Name files with cases, or ask for --lint.")
        if options["json"] and not options["lint"]:
            raise CommandError("--json belongs to --lint.")
        if options["kind"] and not options["lint"]:
            raise CommandError("--kind belongs to --lint.")
        if options["files"]:
            self._run_cases(**options)
        if options["lint"]:
            self._lint(options["kind"], as_json=options["json"])

    def _lint(self, kind: str, *, as_json: bool) -> None:
        """Raises CommandError if something is found, or could not be looked for."""
        ruleset = known_ruleset().ruleset
        definitions, keys = ruleset.definitions, segments_of_kind(ruleset, kind)
        linted = {
            key: lint_segment(definitions[key], seconds=LINT_SECONDS)
            for key in sorted(definitions if keys is None else keys)
        }
        if as_json:
            shown = {
                key: {
                    "findings": [asdict(finding) for finding in lint.findings],
                    "is_complete": lint.is_complete,
                }
                for key, lint in linted.items()
            }
            self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))
        else:
            for key, lint in linted.items():
                for finding in lint.findings:
                    self.stdout.write(f"{key}: {finding}")
        found = sum(len(lint.findings) for lint in linted.values())
        unfinished = [key for key, lint in linted.items() if not lint.is_complete]
        wrong = [f"{found} findings in {len(linted)} segments."] if found else []
        wrong += [f"No time to look at {', '.join(unfinished)}."] if unfinished else []
        if wrong:
            raise CommandError(" ".join(wrong))
        if not as_json:
            self.stdout.write(f"Nothing odd in {len(linted)} segments.")

    def _run_cases(self, **options: Any) -> None:
        definitions = None
        if options["live"]:
            definitions = list(known_ruleset().ruleset.definitions.values())
        now, results, problems = now_in_microseconds(), list[CaseResult](), 0
        for path in options["files"]:
            try:
                ran = run_cases(read_json(path), now=now, definitions=definitions)
            except (InvalidCases, CommandError) as error:
                problems += self._name(path, str(error))
                continue
            results += ran.results
            problems += self._name(path, *ran.problems)
        self._show(results, problems, verbosity=options["verbosity"])

    def _name(self, path: str, *problems: str) -> int:
        for problem in problems:
            self.stderr.write(problem if problem.startswith(path) else f"{path}: {problem}")
        return len(problems)

    def _show(self, results: list[CaseResult], problems: int, *, verbosity: int) -> None:
        failed = [result for result in results if not result.passed]
        for result in results if verbosity > 1 else failed:
            self.stdout.write("\n".join(result.lines()))
        self.stdout.write(f"{len(results) - len(failed)} passed, {len(failed)} failed.")
        wrong = [f"{problems} problems keep cases from being run."] if problems else []
        wrong += [f"{len(failed)} expectations do not hold."] if failed else []
        if wrong:
            raise CommandError(" ".join(wrong))
