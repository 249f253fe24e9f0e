"""The base of this app's commands: help as it is laid out, `--json` where a command has it, and how one ends.

A server that is away is one sentence on stderr and exit code 1; --traceback shows more. Ctrl-C ends with
INTERRUPTED, and a reader that has closed the pipe (`| head -1`) with READER_LEFT: both as a shell expects.
"""

from __future__ import annotations

import os
import signal
import sys
from argparse import RawDescriptionHelpFormatter
from typing import Any, Final

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)
from django.db import Error

INTERRUPTED: Final = 128 + signal.SIGINT
READER_LEFT: Final = 128 + signal.SIGPIPE


class _HelpFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the description; Django's own options come last."""


class FlagCommand(BaseCommand):
    """A command with a `help` text of several lines."""

    takes_json = False
    """True: `--json` prints JSON instead of text."""

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        parser = super().create_parser(
            prog_name, subcommand, formatter_class=_HelpFormatter, **options
        )
        if self.takes_json:
            parser.add_argument("--json", action="store_true", help="JSON instead of text")
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        """As Django's. Ends in one line where somebody interrupts, and in silence where nobody reads."""
        try:
            try:
                super().run_from_argv(argv)
            finally:
                self.stdout.flush()
        except KeyboardInterrupt:
            self.stderr.write("Interrupted.")
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            # Python flushes once more as it ends: into nothing, so that it does not complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(READER_LEFT)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """As Django's. Raises CommandError where the database fails."""
        try:
            return super().execute(*args, **options)
        except Error as error:
            raise CommandError(f"The database failed: {_in_short(error)}") from error


def _in_short(error: Exception) -> str:
    """The first line of what the server or its client says, as a sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"{lines[0].rstrip('.')}."
