"""`launchdarkly_status`: how flags reach this project. Exit code 1 unless they do."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from featureflags.launchdarkly.status import ConnectionStatus, State, connection_status
from featureflags.management.arguments import as_json, in_columns
from featureflags.management.command import FlagCommand

HELP = """\
Connect to LaunchDarkly as a process of this project does, and show how that went.

  manage.py launchdarkly_status
  manage.py launchdarkly_status --json | jq .state

Ends with 1 unless the state is valid. No event is sent.
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

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
