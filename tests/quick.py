"""The tests of what you have changed, on SQLite and files: `make quick`.

    python -m tests.quick [PYTEST OPTIONS]

The change is everything that differs from where the branch left `main` (on `main`: from the last
commit), new files included. Tests mirror the code: a file in `featureflags/cache/` is tested by
`tests/featureflags/cache/`, `featureflags/decorators.py` by `test_decorators.py`. Tests that
start processes, PostgreSQL, Redis or a browser are left to `make test`, and random proofs try
fewer examples.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from tests.run import EMBEDDED, PYTEST, embedded_environment

ROOT = Path(__file__).resolve().parents[1]
QUICK = f"{EMBEDDED} and not processes"
ASSETS = {
    "featureflags/templates": "tests/featureflags/admin",
    "featureflags/static": "tests/featureflags/admin",
    "templates": "tests/config",
}
"""Folders that are tested elsewhere than in their mirror."""
CONCERNS_ALL = {"tests/conftest.py", "tests/factories.py", "tests/emptying.py", "pyproject.toml"}


def changed_paths() -> list[str]:
    """Paths below the root that differ from `main`. Raises CalledProcessError outside of git."""
    base = git("merge-base", "HEAD", "main", check=False).strip() or "HEAD"
    changed = git("diff", "--name-only", "--no-renames", base)
    added = git("ls-files", "--others", "--exclude-standard")
    return sorted({*changed.splitlines(), *added.splitlines()})


def git(*arguments: str, check: bool = True) -> str:
    return subprocess.run(
        ["git", *arguments], check=check, capture_output=True, text=True, cwd=ROOT
    ).stdout


def mirror_of(path: str, root: Path = ROOT) -> str | None:
    """The test module or the folder of tests for this path; None where there is none."""
    for folder, tests in ASSETS.items():
        if path.startswith(f"{folder}/"):
            return tests
    if path.startswith("tests/"):
        is_module = PurePosixPath(path).name.startswith("test_") and (root / path).exists()
        return path if is_module else _folder(PurePosixPath(path).parent, root)
    if path.endswith(".md"):
        return "tests/docs"
    if not path.endswith(".py"):
        return None
    mirror = PurePosixPath("tests", path)
    module = mirror.with_name(f"test_{mirror.name}")
    if str(mirror.parent) == "tests/featureflags":
        return str(module) if (root / module).exists() else None
    return _folder(mirror.parent, root)


def _folder(folder: PurePosixPath, root: Path) -> str | None:
    """The nearest folder that has tests. `tests` and `tests/featureflags` do not count: they belong to no room."""
    special = {"tests/services": "tests/services_tests"}
    while str(folder) not in {"tests", "tests/featureflags", "."}:
        if str(folder) in special:
            return special[str(folder)]
        if any((root / folder).rglob("test_*.py")):
            return str(folder)
        folder = folder.parent
    return None


def chosen(paths: Iterable[str], root: Path = ROOT) -> list[str]:
    """Every test of these paths once: a module is left out where its folder is chosen."""
    found = {tests for tests in (mirror_of(path, root) for path in paths) if tests is not None}
    return sorted(
        one
        for one in found
        if not any(str(folder) in found for folder in PurePosixPath(one).parents)
    )


def main(options: Sequence[str]) -> int:
    changed = changed_paths()
    for path in sorted(CONCERNS_ALL.intersection(changed)):
        print(f"{path} concerns every test: run `make test` too.")
    tests = chosen(changed)
    if not tests:
        print("No changed file has tests of its own.")
        return 0
    print("Tests of the change:", *tests, flush=True)
    environment = {**embedded_environment(os.environ), "HYPOTHESIS_PROFILE": "quick"}
    command = [*PYTEST, "-m", QUICK, *tests, *options]
    return subprocess.run(command, check=False, env=environment, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
