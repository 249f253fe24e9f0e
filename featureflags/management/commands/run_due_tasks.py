"""`run_due_tasks`: runs the overdue tasks of the schedule where no `celery beat` runs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.management.arguments import as_json
from featureflags.management.command import FlagCommand
from featureflags.management.due_tasks import Status, TaskResult, run_due, statuses

HELP = """\
Run the tasks of CELERY_BEAT_SCHEDULE (without Celery: of Guidon's own schedule) that are overdue,
here and now, one after another. For machines without a broker: call it from cron, or by hand. Several calls at once do not run a task
twice. If a task fails, the others still run; the exit code is then 1, and the next call tries
again. With --verbosity 0 only failures are printed.

  manage.py run_due_tasks
  manage.py run_due_tasks --list       what is due, and when each task ran last
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--list", action="store_true", help="only list, run nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["list"]:
            found = statuses()
            text = "\n".join(map(_status_in_words, found))
            as_data = [status.to_dict() for status in found]
            self.stdout.write(as_json(as_data) if options["json"] else text)
            return
        is_quiet = options["json"] or options["verbosity"] == 0
        outcomes = []
        for outcome in run_due():
            outcomes.append(outcome)
            if not is_quiet:
                self.stdout.write(_outcome_in_words(outcome))
        if options["json"]:
            self.stdout.write(as_json([outcome.to_dict() for outcome in outcomes]))
        elif not outcomes and not is_quiet:
            self.stdout.write("No scheduled task is due.")
        failed = [outcome.name for outcome in outcomes if outcome.error is not None]
        if failed:
            raise CommandError(f"Failed: {', '.join(failed)}.")


def _status_in_words(status: Status) -> str:
    last = status.last_run_at.isoformat(" ", "seconds") if status.last_run_at else "never"
    return f"{status.name} ({status.task}): {'due' if status.due else 'not due'}, last run {last}"


def _outcome_in_words(outcome: TaskResult) -> str:
    verdict = "done" if outcome.error is None else f"FAILED: {outcome.error}"
    return f"{outcome.name}: {verdict} ({outcome.seconds:.1f} s)"
