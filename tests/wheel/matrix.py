"""The wheel with every Python, Django and PostgreSQL that it is for: `.ci/matrix`.

For each Python, in a fresh environment from the package index: the oldest packages that the wheel allows,
the newest of Django 5.2, and the newest Django. Then the tests of kinds, triggers and SQL with the newest
Django, on SQLite and PostgreSQL. For each PostgreSQL: the shop of `tests/shop`, the triggers and their removal,
and all proofs of kinds and of SQL; for the oldest one every test that has a database, but for those in a
browser. (`make test` has them all with the version that its packages bring.) Python and PostgreSQL are those of this machine, and what it
has not is fetched (`fetched.py`) into a folder for this run alone. What cannot be had is named as not run.
Exits with 1 if one of them fails.

`python -m tests.wheel.matrix --only "PostgreSQL 14"` runs a part.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.run import EMBEDDED, PRODUCTION, embedded_environment
from tests.services.environments import Environment, wheel
from tests.services.postgres import CHOSEN, find_install, version_of
from tests.services.processes import ROOT
from tests.wheel import fetched
from tests.wheel.new_project import PROGRAM, start_project

PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
"""Those that the wheel is for."""
DATABASES: Final = ("14", "15", "16", "17", "18")
"""The versions of PostgreSQL that it is for."""
DEBIAN: Final = Path("/usr/lib/postgresql")
OF_DJANGO: Final = (
    "tests/featureflags/test_removing.py",
    "tests/featureflags/capture",
    "tests/featureflags/audience/sql",
    "tests/featureflags/kinds",
)
"""What depends on Django's own insides."""
OF_DATABASES: Final = (
    *OF_DJANGO,
    "tests/featureflags/audience",
    "tests/featureflags/models",
    "tests/wheel/test_existing_project.py",
)
"""What depends on the version of PostgreSQL."""
WHOLE: Final = "14"
"""The version with which every test runs that has a database: the one that lacks most."""
NEWEST_DJANGO: Final = "Django"
TESTED_BY: Final = "3.12"
"""The Python of these tests: the newest with a Redis among its packages."""
UV: Final = (sys.executable, "-m", "uv")
DECLARED: Final[list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "dependencies"
]
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    # uv takes the oldest of what it is asked for itself, not of what that needs.
    "oldest": ("--resolution=lowest-direct", *DECLARED),
    "Django 5.2": ("Django>=5.2,<5.3",),
    "newest": (),
}
"""What pip is asked for beside the wheel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One Python with one choice of packages."""

    python: str
    choice: str
    django: str
    problem: str
    """Empty: all is well."""

    def __str__(self) -> str:
        verdict = "ok" if not self.problem else f"FAILED\n{self.problem}"
        return f"Python {self.python:<7} {self.choice:<10} Django {self.django:<7} {verdict}"


def interpreter(version: str) -> str | None:
    """The path of a Python of this version that works; None: there is none here."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [*filter(None, [shutil.which(name)]), *sorted(pyenv.glob(f"{version}.*/bin/{name}"))]
    for path in map(str, found):
        # A shim of pyenv is on the PATH for each version, and may lead to none.
        shown = subprocess.run([path, "--version"], check=False, capture_output=True, text=True)
        if shown.returncode == 0:
            return path
    return None


def outcomes(built: Path, interpreters: Mapping[str, str]) -> Iterator[Outcome]:
    """All that can run here, one after another. A Django that was run already is left out."""
    for version, python in interpreters.items():
        seen: set[str] = set()
        for choice, options in CHOICES.items():
            with tempfile.TemporaryDirectory(prefix="guidon-matrix-") as scratch:
                outcome = _run(Path(scratch), built, python, version, choice, options)
            if outcome.problem or choice == "oldest" or outcome.django not in seen:
                yield outcome
            if choice != "oldest":
                seen.add(outcome.django)


def _run(
    scratch: Path, built: Path, python: str, version: str, choice: str, options: tuple[str, ...]
) -> Outcome:
    installed = Environment(folder=scratch / "venv")
    try:
        _must([*UV, "venv", "--quiet", "--python", python, str(installed.folder)])
        install = [*UV, "pip", "install", "--quiet", "--python", str(installed.python)]
        _must([*install, str(built), *options])
        start_project(scratch, installed)
        ended = installed.run(PROGRAM, folder=scratch)
        if ended.returncode != 0:
            return Outcome(python=version, choice=choice, django="", problem=ended.stderr)
        problem = "" if json.loads(ended.stdout.splitlines()[-1])["after"] else ended.stdout
    except subprocess.CalledProcessError as error:
        return Outcome(python=version, choice=choice, django="", problem=error.stderr)
    shown = installed.run("-m", "django", "--version", folder=scratch).stdout.strip()
    return Outcome(python=version, choice=choice, django=shown, problem=problem)


def pythons(folder: Path, wanted: Sequence[str]) -> dict[str, str]:
    """The interpreters by version: of this machine, and fetched into the folder."""
    found = {}
    for version in wanted:
        path = interpreter(version)
        try:
            found[version] = path or str(fetched.python(version, folder / version))
        except fetched.NotFetchedError as error:
            print(f"Python {version}: not run; it is not on this machine, and {error}")
    return found


def databases(folder: Path, wanted: Sequence[str]) -> dict[str, Path]:
    """The installations of PostgreSQL by version: of this machine, and fetched into the folder."""
    own = find_install()
    found = {path.name: path for path in DEBIAN.glob("*") if (path / "bin" / "postgres").exists()}
    found[str(version_of(own))] = own
    if not set(wanted) <= found.keys():
        why = "the lockfile has none"
        try:
            found = {**fetched.servers(folder, clients=own), **found}
        except fetched.NotFetchedError as error:
            why = str(error)
        for version in sorted(set(wanted) - found.keys()):
            print(f"PostgreSQL {version}: not run; it is not on this machine, and {why}")
    return {version: found[version] for version in wanted if version in found}


def try_database(version: str, install: Path) -> str:
    """What went wrong with it; empty if nothing did."""
    chosen = ["tests"] if version == WHOLE else OF_DATABASES
    return _tested(sys.executable, chosen, servers={CHOSEN: str(install)})


def try_django(folder: Path, python: str) -> str:
    """What went wrong with the newest Django; empty if nothing did."""
    folder.mkdir()
    made = Environment(folder=folder / "venv")
    newest = folder / "newest.txt"
    newest.write_text("Django>=6\n")
    try:
        _must([*UV, "venv", "--quiet", "--python", python, str(made.folder)])
        install = [*UV, "pip", "install", "--quiet", "--python", str(made.python)]
        _must([*install, "--override", str(newest), "--requirement", "requirements/dev.in"])
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
    on_sqlite = _tested(str(made.python), OF_DJANGO, servers=None)
    return on_sqlite or _tested(str(made.python), OF_DJANGO, servers={})


def _tested(python: str, chosen: Sequence[str], servers: Mapping[str, str] | None) -> str:
    """What the tests say that failed. `servers`: variables of the stack; None: on SQLite and files."""
    stack = () if servers is None else (python, "-m", "tests.services.stack", "--")
    marks = EMBEDDED if servers is None else f"({PRODUCTION}) and not browser"
    command = [*stack, python, "-m", "pytest", "-q", "-m", marks, *chosen]
    env = {**embedded_environment(os.environ), **(servers or {})}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=env)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


def _must(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=os.environ)


def _asked(name: str, versions: Sequence[str], only: Sequence[str]) -> list[str]:
    return [each for each in versions if not only or f"{name} {each}" in only]


def main() -> int:
    every = [f"Python {each}" for each in PYTHONS] + [f"PostgreSQL {each}" for each in DATABASES]
    every.append(NEWEST_DJANGO)
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=every, default=[], metavar="NAME")
    only = parser.parse_args().only
    failed = False

    def report(name: str, problem: str) -> None:
        nonlocal failed
        print(f"{name}:", f"FAILED\n{problem}" if problem else "ok", flush=True)
        failed |= bool(problem)

    with tempfile.TemporaryDirectory(prefix="guidon-matrix-") as scratch:
        folder = Path(scratch)
        # PostgreSQL runs as another account than root.
        folder.chmod(0o755)
        here = pythons(folder / "python", _asked("Python", PYTHONS, only))
        for outcome in outcomes(wheel(folder), here) if here else ():
            print(outcome, flush=True)
            failed |= bool(outcome.problem)
        if not only or NEWEST_DJANGO in only:
            for python in pythons(folder / "tests", [TESTED_BY]).values():
                report("The newest Django", try_django(folder / "django", python))
        wanted = _asked("PostgreSQL", DATABASES, only)
        for version, install in databases(folder / "postgres", wanted).items():
            report(f"PostgreSQL {version}", try_database(version, install))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
