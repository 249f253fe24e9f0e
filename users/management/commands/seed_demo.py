"""`seed_demo`: the people, segments and flags of the demo, and crowds of random users."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from featureflags.management.command import FlagCommand
from users.demo.bulk_insert import write_users
from users.demo.demo import Demo, Seeded, load_demo, seed
from users.demo.random_users import crowd
from users.models import User

HELP = """\
Load the demo: its people, its segments and, if it is missing, the flag file. Existing rows and
files stay as they are: call it as often as you like. With DEBUG off, the added people cannot log in
unless you give a password.

  manage.py seed_demo
  manage.py seed_demo --users 1000000      and a million random users, the same ones every time
"""


class Command(FlagCommand):
    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--users", type=int, default=0, metavar="N", help="random users too")
        parser.add_argument("--password", help="of the demo logins (where DEBUG is on: the demo's)")
        parser.add_argument(
            "--if-empty", action="store_true", help="load the people only if there are no users"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["users"] < 0:
            raise CommandError("--users takes a number that is not negative.")
        demo = load_demo()
        password = options["password"] or (demo.password if settings.DEBUG else None)
        if options["if_empty"] and User.objects.exists():
            self.stdout.write("There are users already, so the demo was not loaded.")
        else:
            self._tell(seed(demo, password))
        self._tell_logins(demo, password)
        if options["users"]:
            self._add_crowd(options["users"])

    def _tell(self, seeded: Seeded) -> None:
        people, segments = len(seeded.people), len(seeded.segments)
        added = f"{people} {'person' if people == 1 else 'people'}, "
        added += f"{segments} {'segment' if segments == 1 else 'segments'}"
        flag_file = ", the flag file" if seeded.flag_file else ""
        self.stdout.write(f"Demo added: {added}{flag_file}.")

    def _tell_logins(self, demo: Demo, password: str | None) -> None:
        emails = [person.email for person in demo.people]
        there = set(User.objects.filter(email__in=emails).values_list("email", flat=True))
        if password is None or not there:
            return
        self.stdout.write(f"Demo logins, unless somebody changed them (password: {password}):")
        for person in demo.people:
            if person.email in there:
                self.stdout.write(f"  {person.email:<24} {person.title}")

    def _add_crowd(self, count: int) -> None:
        began = time.monotonic()
        # `disable=None`: a bar on a terminal, and nothing anywhere else.
        with tqdm(total=count, unit=" users", disable=None, file=self.stderr) as bar:
            written = write_users(crowd(count, timezone.now()), bar.update)
        seconds = time.monotonic() - began
        self.stdout.write(
            f"{written} random users added, {count - written} were there: {seconds:.1f} s, "
            f"{count / max(seconds, 0.001):,.0f} a second."
        )
