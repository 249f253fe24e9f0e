"""How long Guidon takes to start, compared with a new Django project of `startproject`.

    python -m tests.benchmarks.start [--json FILE]

Three steps, each in a process of its own: `django.setup()`, `manage.py check`, and a web worker
from nothing to its first answer, the login page of the admin. Each step runs several times, in turns
with the empty project's. The shortest run counts, in seconds of processor time: a wait for other
processes does not count. Python has compiled all modules before, as in an image or a virtual
environment. Compare the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.services.processes import ROOT

RUNS = 9
SERVERS = {"DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"}

SETUP = "import django; django.setup()"
CHECK = """
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "check"])
"""
ANSWER = """
import importlib, sys
from wsgiref.util import setup_testing_defaults
environ = {"PATH_INFO": "/admin/login/"}
setup_testing_defaults(environ)
application = importlib.import_module(sys.argv[1]).application
list(application(environ, lambda status, _headers: status == "200 OK" or sys.exit(status)))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    folder: Path
    settings: str
    wsgi: str

    def environment(self, var_dir: Path) -> dict[str, str]:
        left_out = {*SERVERS, "PYTHONDONTWRITEBYTECODE"}
        inherited = {name: text for name, text in os.environ.items() if name not in left_out}
        return {
            **inherited,
            "PYTHONPYCACHEPREFIX": str(var_dir / "compiled"),
            "GUIDON_IGNORE_DOTENV": "1",
            "GUIDON_VAR_DIR": str(var_dir),
            "PYTHONPATH": str(self.folder),
            "DJANGO_SETTINGS_MODULE": self.settings,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Seconds of processor time for Guidon and for the empty project."""

    guidon: float
    empty: float
    ratio: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    for name, each in figures.items():
        print(f"{name:<28} {each.guidon:5.2f} s   empty {each.empty:5.2f} s   {each.ratio:4.1f} ×")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps({name: asdict(one) for name, one in figures.items()}))
    return 0


def measure(folder: Path) -> dict[str, Start]:
    """All steps of both projects. Raises CalledProcessError for a step that fails."""
    guidon = Project(folder=ROOT, settings="config.settings.development", wsgi="config.wsgi")
    empty = Project(folder=folder, settings="empty.settings", wsgi="empty.wsgi")
    subprocess.run(
        [sys.executable, "-m", "django", "startproject", "empty", str(folder)], check=True
    )
    for project in (guidon, empty):
        # The first run also compiles what was never imported before.
        migrate = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
        subprocess.run(migrate, check=True, env=project.environment(folder), cwd=project.folder)
    return {
        "django.setup()": compared(SETUP, guidon, empty, folder),
        "manage.py check": compared(CHECK, guidon, empty, folder),
        "a web worker's first answer": compared(ANSWER, guidon, empty, folder),
    }


def compared(script: str, guidon: Project, empty: Project, var_dir: Path) -> Start:
    """The best of several runs of each project, in turns."""
    ours = theirs = float("inf")
    for _ in range(RUNS):
        ours = min(ours, seconds(script, guidon, var_dir))
        theirs = min(theirs, seconds(script, empty, var_dir))
    return Start(guidon=round(ours, 3), empty=round(theirs, 3), ratio=round(ours / theirs, 2))


def seconds(script: str, project: Project, var_dir: Path) -> float:
    """Processor time of a new Python that runs this script for the project."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", script, project.wsgi],
        check=True,
        env=project.environment(var_dir),
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
