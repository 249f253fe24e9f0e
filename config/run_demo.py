"""What `make run` does once the packages are there: `python -m config.run_demo PORT FLAG_FILE`.

Brings the database up to date, loads the demo where nobody is yet, runs the tasks of the schedule
that are overdue, prints what a newcomer needs, and serves. One process prepares everything: each
start of Django takes about a second.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

import django
from django.core.management import call_command

WELCOME = """
Guidon is ready. Press Ctrl-C to stop it.

  {address}/                the demo: the same page for different people
  {address}/admin/          the admin: log in as admin@example.com
  {address}/api/v1/docs/    the REST API
  {address}/docs/           the documentation, once `make docs` has built it

Try this:
  1. Open the demo. A new user, an employee and a paying customer see different things.
  2. Open {flag_file}. In "welcome-tour" set the fallthrough variation to 0.
     Reload the demo: everybody is greeted.
  3. In the admin open Segments, then paying_customer. Replace "pro" by "free", save
     and confirm. Reload the demo: Paula has lost the new checkout.
"""


def prepare() -> None:
    """Tables, the demo, and what is overdue. May run as often as you like: it loses nothing."""
    call_command("migrate", verbosity=0)
    call_command("seed_demo", if_empty=True)
    logging.disable(logging.INFO)
    call_command("run_due_tasks", verbosity=0)
    logging.disable(logging.NOTSET)


def main(arguments: Sequence[str]) -> None:
    """Prepare and print; then this process becomes the development server."""
    port, flag_file = arguments
    address = f"127.0.0.1:{port}"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
    os.environ.setdefault("DJANGO_RUNSERVER_HIDE_WARNING", "true")
    django.setup()
    prepare()
    print(WELCOME.format(address=f"http://{address}", flag_file=flag_file), flush=True)
    os.execv(sys.executable, [sys.executable, "manage.py", "runserver", address])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
