"""`sync_segments`: a segment in LaunchDarkly for each active segment here, to be picked by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.core.conf import app_settings
from featureflags.launchdarkly.rest.client import ManagementClient, management_client
from featureflags.launchdarkly.rest.errors import ManagementError
from featureflags.launchdarkly.segment_sync.apply import (
    Choices,
    Status,
    StepResult,
    apply,
    make_plan,
    wanted_segments,
)
from featureflags.launchdarkly.segment_sync.plan import Kind, Step
from featureflags.management.arguments import as_json
from featureflags.management.command import FlagCommand

HELP = """\
Keep a segment in LaunchDarkly for each active segment here, so that a flag's rule can name it
without knowing the attribute. It has the same key, and one rule: segments in [KEY]. The plan is
shown first. Only segments with our tag are touched.

  manage.py sync_segments --dry-run           the plan alone
  manage.py sync_segments                     create, finish and rename
  manage.py sync_segments --repair            also put back what was edited there
  manage.py sync_segments --delete-unused     also delete what no flag and no segment here needs
  manage.py sync_segments --project p --environment e --json

Exits with 0 if nothing is left to do, with 1 if a call failed, and with 2 if a person is needed:
a segment was edited there, a key is taken, or --dry-run found something to do.
"""

FAILED, PERSON_NEEDED = 1, 2

HINTS = {
    Kind.DRIFT: "--repair puts it back",
    Kind.CONFLICT: "rename one of the two, or give it the tag to hand it over",
    Kind.UNUSED: "--delete-unused deletes it, once no flag targets it",
}
BY_HAND = "no repair from here: delete it there by hand"


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="show the plan, change nothing")
        parser.add_argument("--project", metavar="P", help="key (LAUNCHDARKLY_PROJECT)")
        parser.add_argument("--environment", metavar="E", help="key (LAUNCHDARKLY_ENVIRONMENT)")
        parser.add_argument("--repair", action="store_true", help="undo edits made there")
        parser.add_argument(
            "--delete-unused",
            action="store_true",
            help="delete ours that are inactive or gone here, unless a flag targets them",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        choices = Choices(
            tag=app_settings().sync_tag,
            repair=options["repair"],
            delete_unused=options["delete_unused"],
        )
        try:
            with management_client(
                project=options["project"], environment=options["environment"]
            ) as client:
                self._sync(client, choices, dry_run=options["dry_run"], json=options["json"])
        except ManagementError as error:
            raise CommandError(str(error), returncode=FAILED) from error

    def _sync(
        self, client: ManagementClient, choices: Choices, *, dry_run: bool, json: bool
    ) -> None:
        steps = make_plan(client, wanted_segments(), tag=choices.tag)
        if not json:
            self._show_plan(client, steps)
        outcomes: list[StepResult] = []
        if not dry_run:
            for outcome in apply(client, steps, choices):
                outcomes.append(outcome)
                if not json:
                    self._show_outcome(outcome)
        if json:
            self.stdout.write(as_json(_document(client, steps, outcomes, dry_run=dry_run)))
        _end(steps, outcomes, choices, dry_run=dry_run)

    def _show_plan(self, client: ManagementClient, steps: Iterable[Step]) -> None:
        self.stdout.write(f"Project {client.project}, environment {client.environment}.")
        for step in steps:
            if step.kind is not Kind.CURRENT:
                self.stdout.write(f"  {step.key}: {step.sentence}{_hint(step)}")
        counted = Counter(str(step.kind) for step in steps)
        summary = ", ".join(f"{counted[kind]} {kind}" for kind in Kind if counted[kind])
        self.stdout.write(f"Plan: {summary or 'nothing here and nothing of ours there'}.")

    def _show_outcome(self, outcome: StepResult) -> None:
        if outcome.status is not Status.LEFT:
            error = f": {outcome.error}" if outcome.error else ""
            step = outcome.step
            self.stdout.write(f"  {step.key}: {step.kind} {outcome.status}{error}")


def _hint(step: Step) -> str:
    if step.kind not in HINTS:
        return ""
    unrepairable = step.kind is Kind.DRIFT and not step.instructions
    return f" ({BY_HAND if unrepairable else HINTS[step.kind]})"


def _document(
    client: ManagementClient,
    steps: Iterable[Step],
    outcomes: Iterable[StepResult],
    *,
    dry_run: bool,
) -> dict[str, object]:
    became = {(each.step.key, each.step.kind): each for each in outcomes}
    rows = []
    for step in steps:
        outcome = became.get((step.key, step.kind))
        rows.append(
            {
                "key": step.key,
                "kind": str(step.kind),
                "sentence": step.sentence,
                "status": None if outcome is None else str(outcome.status),
                "error": None if outcome is None else outcome.error,
            }
        )
    return {
        "project": client.project,
        "environment": client.environment,
        "dry_run": dry_run,
        "steps": rows,
    }


def _end(
    steps: Iterable[Step], outcomes: list[StepResult], choices: Choices, *, dry_run: bool
) -> None:
    """Raise CommandError, with the exit code, if something is left. What is unused may stay."""
    bad = [each for each in outcomes if each.status in {Status.FAILED, Status.NOT_TRIED}]
    if bad:
        raise CommandError(f"{len(bad)} steps failed or were not tried.", returncode=FAILED)
    undone = steps if dry_run else [each.step for each in outcomes if each.status is Status.LEFT]
    ends_well = {Kind.CURRENT} if choices.delete_unused else {Kind.CURRENT, Kind.UNUSED}
    left = sorted({step.key for step in undone if step.kind not in ends_well})
    if left:
        raise CommandError(f"Left as they are: {', '.join(left)}.", returncode=PERSON_NEEDED)
