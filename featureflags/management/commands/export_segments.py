"""`export_segments`: segments as JSON that LaunchDarkly's file data source reads too."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from featureflags.editing import export_segments
from featureflags.management.arguments import add_kind, as_json, kind_wanted
from featureflags.management.command import FlagCommand
from featureflags.models import Segment
from featureflags.segments.export import NotExportable

HELP = """\
Write segments as JSON, in the form that LaunchDarkly's file data source reads.

  manage.py export_segments > segments.json
  manage.py export_segments employee new_user
  manage.py export_segments --kind organization
  manage.py export_segments --native > backup.json    with what LaunchDarkly cannot hold
"""


class Command(FlagCommand):
    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("keys", nargs="*", metavar="KEY", help="only these segments")
        add_kind(parser)
        parser.add_argument(
            "--native",
            action="store_true",
            help="for import_segments only: exists, expiring members, inactive segments",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        keys = _of_kind(options["keys"], options["kind"])
        try:
            document = export_segments(keys, native=options["native"])
        except KeyError as error:
            raise CommandError(f"There is no segment {error.args[0]!r}.") from error
        except NotExportable as error:
            hint = "" if options["native"] else " --native writes it for import_segments."
            raise CommandError(f"{error}.{hint}") from error
        self.stdout.write(as_json(document))


def _of_kind(keys: list[str], name: str) -> list[str]:
    """The keys of these segments (empty: all) that are on the kind, if one is named. Raises CommandError."""
    kind = kind_wanted(name)
    if kind is None:
        return keys
    rows = Segment.objects.filter(kind=kind.name)
    found = list((rows.filter(key__in=keys) if keys else rows).values_list("key", flat=True))
    if not found or not set(keys) <= set(found):
        missing = ", ".join(sorted(set(keys) - set(found)))
        raise CommandError(f"On the kind {name!r} there is no segment {missing}".rstrip() + ".")
    return found
