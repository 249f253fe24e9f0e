"""The base of this app's commands: help as it is laid out, and `--json` where a command has it."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter


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
