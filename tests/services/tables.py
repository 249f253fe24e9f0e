"""The project's tables in SQLite: migrated once in this process, and copied for each test that wants a database."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

from tests.services.processes import manage


def make_tables(path: Path) -> None:
    """The file that `migrate` leaves; the folder must exist."""
    shutil.copyfile(_migrated(os.getpid()), path)


@functools.cache
def _migrated(pid: int) -> Path:
    # In the folder of this test run, which goes with it.
    path = Path(os.environ["GUIDON_VAR_DIR"]) / f"migrated-{pid}.sqlite3"
    env = {
        "DATABASE_URL": f"sqlite:///{path}",
        "REDIS_URL": None,
        "DJANGO_SETTINGS_MODULE": "config.settings.testing",
    }
    done = manage(env, "migrate", "--verbosity=0")
    if done.returncode:
        raise RuntimeError(done.stderr)
    return path
