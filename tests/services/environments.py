"""Fresh virtual environments with a wheel of this tree, without a network.

    with_wheel = environment(tmp_path / "venv", wheel(tmp_path), extras=["redis"])
    with_wheel.run("manage.py", "migrate", folder=project, env={})

They hold what the wheel's metadata asks for and nothing else: the wheel is installed once and linked, and each
distribution is linked from the environment of the tests, in the same version.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.services.processes import COMMAND_SECONDS, ROOT

KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
"""Variables that a program in such an environment inherits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(
        self,
        *arguments: str,
        folder: Path,
        env: Mapping[str, str] | None = None,
        timeout: float = COMMAND_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run its Python to the end, in `folder`. Of our own variables it sees `env` alone."""
        return subprocess.run(
            [str(self.python), *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            env=self.variables(env),
            timeout=timeout,
        )

    def variables(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a program in it sees."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return {**kept, "PYTHONUNBUFFERED": "1", **(env or {})}


def wheel(target: Path) -> Path:
    """Build the wheel of this tree into the folder."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(target)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    [built] = target.glob("*.whl")
    return built


def environment(
    folder: Path, built: Path, *, extras: Iterable[str] = (), others: Iterable[str] = ()
) -> Environment:
    """A new environment with the wheel, its extras, and other distributions of the project."""
    venv.create(folder, symlinks=True, with_pip=False)
    [site] = (folder / "lib").glob("python*/site-packages")
    for path in installed(built).iterdir():
        (site / path.name).symlink_to(path)
    [metadata] = site.glob("guidon-*.dist-info")
    wanted = set(extras)
    needed = [
        requirement
        for line in Distribution.at(metadata).requires or ()
        if _holds(requirement := Requirement(line), wanted)
    ]
    link([*needed, *map(Requirement, others)], site)
    return Environment(folder=folder)


def installed(built: Path) -> Path:
    """The folder into which the wheel is installed once, so that Python compiles it once for all environments."""
    folder = built.with_suffix(".installed")
    if not folder.exists():
        install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline"]
        subprocess.run([*install, "--no-deps", f"--target={folder}", str(built)], check=True)
    return folder


def link(requirements: Iterable[Requirement], site: Path) -> None:
    """Link these distributions and all that they need into a folder of packages."""
    waiting, seen = list(requirements), set[tuple[str, frozenset[str]]]()
    while waiting:
        wanted = waiting.pop()
        extras = frozenset(wanted.extras)
        if (wanted.name, extras) in seen:
            continue
        seen.add((wanted.name, extras))
        try:
            found = distribution(wanted.name)
        except PackageNotFoundError as error:
            raise LookupError(f"{wanted} is not in the environment of the tests.") from error
        if wanted.specifier and not wanted.specifier.contains(found.version, prereleases=True):
            raise LookupError(f"The tests have {found.name} {found.version}, wanted is {wanted}.")
        _link_files(found, site)
        lines = map(Requirement, found.requires or ())
        waiting += [line for line in lines if _holds(line, extras)]


def _link_files(found: Distribution, site: Path) -> None:
    tops = {
        file.parts[0] for file in found.files or () if file.parts[0] not in {"..", "__pycache__"}
    }
    for name in tops:
        target = site / name
        if not target.exists():
            target.symlink_to(Path(str(found.locate_file(name))))


def _holds(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Whether it is needed on this machine, with these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": name}) for name in ("", *extras))
