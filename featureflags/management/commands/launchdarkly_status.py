"""`launchdarkly_status`: how flags reach this project. Exit code 1 unless they do."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from featureflags.launchdarkly.status import ConnectionStatus, State, connection_status
from featureflags.management.arguments import as_json, in_columns

HELP = """\
Connect to LaunchDarkly as a process of this project does, and show how that went.

  manage.py launchdarkly_status
  manage.py launchdarkly_status --json | jq .state

Ends with 1 unless the state is valid. No event is sent.
"""


class Command(BaseCommand):
    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("--json", action="store_true", help="JSON instead of text")

    def handle(self, *_args: Any, **options: Any) -> None:
        status = connection_status(start=True)
        self.stdout.write(as_json(status.to_dict()) if options["json"] else _in_words(status))
        if status.state is not State.VALID:
            raise CommandError(f"LaunchDarkly's state is {status.state.value}.")


def _in_words(status: ConnectionStatus) -> str:
    shown = status.to_dict()
    error = shown.pop("error")
    if error is not None:
        shown["error"] = f"{error['message'] or error['kind']} ({error['at'] or 'time unknown'})"
    shown["malformed"] = ", ".join(shown["malformed"])
    rows = [(name, str(value)) for name, value in shown.items() if value not in (None, "")]
    return "\n".join(in_columns(rows))
