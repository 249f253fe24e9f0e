"""`warm_contexts`: fill the cache before users come."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from featureflags.core.conf import app_settings
from featureflags.core.publishing import BrokerError, has_broker
from featureflags.management.arguments import add_kind, as_json, kind_wanted
from featureflags.management.command import FlagCommand
from featureflags.tasks import send_due
from featureflags.warming.progress import Report, report
from featureflags.warming.runs import AnotherRun, begin, cancel, settle, under_way
from featureflags.warming.scope import Scope, scope_for
from featureflags.warming.worker import work_on

HELP = """\
Cache the rows of all kinds, and of users those who were seen lately, so that their next flag check needs no database, and the rules,
so that a process can start while the database is down. Only entries that are missing, differ from the
database or expire soon are written. If a cache warm-up with an equal or wider scope is running, the
command joins it. Exits with 1 if some rows could not be cached.

  manage.py warm_contexts                     users of the last WARM_ACTIVE_DAYS days
  manage.py warm_contexts --active-within 30
  manage.py warm_contexts --all --json
  manage.py warm_contexts --kind organization  the rows of one kind
  manage.py warm_contexts --celery            by Celery workers, with a progress bar here
  manage.py warm_contexts --cancel            cancel the current warm-up
"""

LOOK_SECONDS = 0.5
HINT_SECONDS = 30
INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells."""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        whom = parser.add_mutually_exclusive_group()
        whom.add_argument(
            "--active-within",
            type=_days,
            metavar="DAYS",
            help=f"active users seen within DAYS of 24 hours (now {app_settings().warm_active_days})",
        )
        whom.add_argument("--all", action="store_true", help="every row, inactive ones included")
        whom.add_argument("--cancel", action="store_true", help="cancel the current warm-up")
        add_kind(parser)
        parser.add_argument("--force", action="store_true", help="write good entries too")
        parser.add_argument("--celery", action="store_true", help="let the workers do it")
        parser.add_argument(
            "--give-up-after",
            type=float,
            default=300.0,
            metavar="SECONDS",
            help="with --celery: end with 1 if nothing happens for so long (%(default)g); the run"
            " goes on as soon as there are workers",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["cancel"]:
            self._cancel()
            return
        kind_wanted(options["kind"])
        scope = scope_for(
            options["active_within"],
            everyone=options["all"],
            force=options["force"],
            kind=options["kind"],
        )
        try:
            ended = self._run(scope, celery=options["celery"], patience=options["give_up_after"])
        except AnotherRun as error:
            raise CommandError(str(error)) from error
        self.stdout.write(as_json(ended.to_dict()) if options["json"] else _in_words(ended))
        if not ended.succeeded:
            raise CommandError("Some rows, or the rules, are not in the cache.")

    def _cancel(self) -> None:
        cancelled = [run for run in under_way() if cancel(run)]
        if not cancelled:
            raise CommandError("No cache warm-up is running.")
        self.stdout.write(f"Cache warm-up {cancelled[0]} is cancelled.")

    def _run(self, scope: Scope, *, celery: bool, patience: float) -> Report:
        if celery and not has_broker():
            raise CommandError(
                "There is no broker (CELERY_BROKER_URL): leave --celery out to warm from here."
            )
        begun = begin(scope, by_workers=celery)
        if begun.joined:
            self.stderr.write(f"Joined cache warm-up {begun.run}, which was running already.")
        try:
            # `disable=None`: a bar on a terminal, and nothing anywhere else.
            with tqdm(unit=" rows", disable=None, file=self.stderr) as bar:
                _show(bar, report(begun.run))
                if celery:
                    return self._follow(begun.run, bar, patience)
                work_on(begun, bar.update)
            return report(begun.run)
        except KeyboardInterrupt:
            goes_on = celery or begun.joined
            raise CommandError(
                f"Cache warm-up {begun.run} goes on. To cancel it: manage.py warm_contexts --cancel."
                if goes_on
                else f"Cache warm-up {begun.run} is cancelled.",
                returncode=INTERRUPTED,
            ) from None

    def _follow(self, run: int, bar: tqdm[Any], patience: float) -> Report:
        hints = {
            "idle": "Nothing has happened for a while. Is a Celery worker running?",
            "broker": "The broker does not answer. Trying again.",
        }
        while True:
            ended = settle(run)
            try:
                if not ended:
                    # Includes ranges that a killed worker left.
                    send_due(run)
            except BrokerError:
                self._hint(hints.pop("broker", ""))
            now = report(run)
            _show(bar, now)
            if ended or now.idle_seconds > patience:
                return now
            if now.idle_seconds > HINT_SECONDS:
                self._hint(hints.pop("idle", ""))
            time.sleep(LOOK_SECONDS)

    def _hint(self, text: str) -> None:
        if text:
            self.stderr.write(text)


def _show(bar: tqdm[Any], now: Report) -> None:
    bar.total = now.users
    bar.update(now.read - bar.n)


def _in_words(ended: Report) -> str:
    return "\n".join([str(ended), *(f"  {each}" for each in ended.unfinished)])


def _days(text: str) -> float:
    """A number of days above zero, and not beyond what a date can hold."""
    days = float(text)
    if not 0 < days <= 36_500:
        raise ValueError(text)
    return days
