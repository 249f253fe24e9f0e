"""A backup that was restored: nothing that the cache knew better is answered any more."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, connections

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.evaluation import resolve
from featureflags.models import Segment
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services.postgres import find_install
from users.models import User

pytestmark = [pytest.mark.production_stack, pytest.mark.django_db(transaction=True)]


def program(name: str, *arguments: str) -> None:
    """pg_dump or pg_restore, on the database of the test."""
    given = connection.get_connection_params()
    environment = {
        **os.environ,
        "PGHOST": str(given.get("host", "")),
        "PGPORT": str(given.get("port", "")),
        "PGUSER": str(given.get("user", "")),
        "PGPASSWORD": str(given.get("password", "")),
        "PGDATABASE": str(given["dbname"]),
    }
    command = [str(find_install() / "bin" / name), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def restore(dump: str, script: Path) -> None:
    """As `docs/operators/maintenance.md` has it."""
    options = ("--clean", "--if-exists", "--no-owner")
    if connection.pg_version >= 170000:  # type: ignore[attr-defined]
        name = connection.get_connection_params()["dbname"]
        program("pg_restore", *options, f"--dbname={name}", dump)
        return
    # The program may be newer than the server, and write a setting that the server does not know.
    program("pg_restore", *options, f"--file={script}", dump)
    script.write_text(script.read_text().replace("SET transaction_timeout = 0;\n", ""))
    program("psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={script}")


def answer(user: User) -> tuple[object, tuple[str, ...]]:
    with unit_of_work():
        found = resolve(str(user.pk))
    return found.context.get("name"), tuple(key for key in found.segments if key == "payers")


def test_a_restored_backup_is_what_is_answered(tmp_path: Path) -> None:
    dump = str(tmp_path / "guidon.dump")
    user = UserFactory.create(name="Before", metadata={"plan": "pro"})
    SegmentFactory.create(key="payers", rules=[rule(clause("custom_plan", "in", "pro"))])
    assert answer(user) == ("Before", ("payers",))
    program("pg_dump", "--format=custom", f"--file={dump}")
    user.name = "After"
    user.save()
    Segment.objects.get(key="payers").delete()
    assert answer(user) == ("After", ())

    connections.close_all()
    restore(dump, tmp_path / "guidon.sql")
    call_command("migrate", verbosity=0)
    call_command("invalidate_contexts", "--everything")

    assert answer(user) == ("Before", ("payers",))
    User.objects.filter(pk=user.pk).update(name="Later")
    assert answer(user)[0] == "Later", "the triggers are there again"
    call_command("check", databases=["default"])
