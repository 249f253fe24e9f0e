"""A release: check, build, tag. `make release`, or `make release DRY_RUN=1`, which tags nothing.

Everything is checked before anything is written: a clean tree, one version in `pyproject.toml` and
as the newest heading of `CHANGELOG.md`, and no tag of that name. Then wheel and source distribution
are built into `dist/`, their content is checked, and the commit gets the tag `vVERSION`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
HEADING: Final = re.compile(r"^## (\d+\.\d+\.\d+)(?: – (\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)
PACKAGES: Final = ("featureflags",)
NOT_SHIPPED: Final = frozenset({"__pycache__"})


class NotReady(Exception):
    """What prevents the release, one sentence a line."""


def version_of(root: Path) -> str:
    """The version that `pyproject.toml` declares."""
    with (root / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def git(root: Path, *arguments: str) -> str:
    """The output of a git command. Raises CalledProcessError."""
    command = ["git", *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=root
    ).stdout.strip()


def problems(root: Path) -> list[str]:
    """Why this tree cannot be released, in sentences. Empty: it can."""
    version = version_of(root)
    found = []
    if git(root, "status", "--porcelain"):
        found.append("The working tree is not clean: commit or stash first.")
    newest = HEADING.search((root / "CHANGELOG.md").read_text())
    if newest is None or newest[1] != version:
        shown = newest[1] if newest else "none"
        found.append(f"CHANGELOG.md: the newest version is {shown}, pyproject.toml has {version}.")
    elif newest[2] is None:
        found.append(f"CHANGELOG.md: the heading needs a date: ## {version} – 2026-01-31")
    if git(root, "tag", "--list", f"v{version}"):
        found.append(f"The tag v{version} exists already: raise the version in pyproject.toml.")
    return found


def build(root: Path, target: Path) -> list[Path]:
    """Wheel and source distribution, built and checked. Raises CalledProcessError or NotReady."""
    shutil.rmtree(target, ignore_errors=True)
    python = [sys.executable, "-m"]
    subprocess.run(
        [*python, "build", "--no-isolation", "--outdir", str(target), str(root)], check=True
    )
    built = sorted(target.iterdir())
    subprocess.run([*python, "twine", "check", "--strict", *map(str, built)], check=True)
    for wheel in target.glob("*.whl"):
        if missing := missing_files(root, wheel):
            raise NotReady(f"{wheel.name} lacks {len(missing)} files, such as {missing[0]}.")
    return built


def missing_files(root: Path, wheel: Path) -> list[str]:
    """Files of the packages that git knows and the wheel lacks."""
    with zipfile.ZipFile(wheel) as archive:
        shipped = set(archive.namelist())
    wanted = git(root, "ls-files", *PACKAGES).splitlines()
    return [
        name for name in wanted if name not in shipped and not NOT_SHIPPED & set(name.split("/"))
    ]


def release(root: Path, *, dry_run: bool) -> str:
    """Do it, or all but the tag; what was done, in a sentence. Raises NotReady."""
    if found := problems(root):
        raise NotReady("\n".join(found))
    version = version_of(root)
    built = ", ".join(path.name for path in build(root, root / "dist"))
    if dry_run:
        return f"Guidon {version} could be released: {built}. Nothing was tagged."
    git(root, "tag", "--annotate", f"v{version}", "--message", f"Guidon {version}")
    return f"Guidon {version}: {built}, tagged v{version}. Next: push the tag, upload dist/."


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="tag nothing")
    options = parser.parse_args(arguments)
    try:
        print(release(ROOT, dry_run=options.dry_run))
    except NotReady as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
