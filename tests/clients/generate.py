"""Generates and type-checks the clients of the REST API: `make api-client`.

    python -m tests.clients.generate [--url https://guidon.example.com] [--only python] [FOLDER]

Below FOLDER (var/api-client): `schema.json`, `python/guidon_client` by openapi-python-client, and
`typescript/src` by Orval. Without --url the schema is that of this checkout, and no server is asked.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
REST: Final = Path(__file__).resolve().parent / "rest"
LANGUAGES: Final = ("python", "typescript")
SECONDS: Final = 300


def fetch(folder: Path, url: str | None) -> None:
    """Write `schema.json`: of a running server, or of this checkout. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = folder / "schema.json"
    if url is None:
        command = ["manage.py", "spectacular", "--fail-on-warn", "--validate"]
        run([sys.executable, *command, "--format", "openapi-json", "--file", str(drawn)], ROOT)
        return
    address = f"{url.rstrip('/')}/api/v1/schema/?format=json"
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"{url}: give an address that begins with http:// or https://")
    with urllib.request.urlopen(address, timeout=SECONDS) as answer:
        drawn.write_bytes(answer.read())


def generate_python(folder: Path) -> None:
    """`python/guidon_client`, checked by mypy together with a program that uses it."""
    target = folder / "python"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in ("generator.yaml", "mypy.ini", "story.py"):
        shutil.copy(REST / name, target / name)
    # The generator runs ruff, which lies beside it.
    scripts = Path(sys.executable).parent
    generator = [
        str(scripts / "openapi-python-client"),
        "generate",
        "--config=generator.yaml",
        "--meta",
        "none",
        "--overwrite",
    ]
    where = ["--path", str(folder / "schema.json"), "--output-path", "guidon_client"]
    run([*generator, "--fail-on-warning", *where], target)
    run([sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "story.py"], target)


def generate_typescript(folder: Path) -> None:
    """`typescript/src`, checked and built by tsc together with a program that uses it."""
    target = folder / "typescript"
    shutil.copytree(
        REST, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "*.ini", "*.yaml")
    )
    shutil.copy(folder / "schema.json", target / "schema.json")
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    run(install, target)
    run(["npm", "run", "--silent", "generate"], target)


def run(command: Sequence[str], folder: Path) -> None:
    """Raises CalledProcessError; its output says what is wrong."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        check=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def main(options: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make api-client", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "var" / "api-client")
    parser.add_argument("--url", help="a running server; without it: this checkout")
    parser.add_argument("--only", choices=LANGUAGES, help="one language alone")
    given = parser.parse_args(options)
    folder: Path = given.folder.resolve()
    steps = {"python": generate_python, "typescript": generate_typescript}
    try:
        print(f"The schema: {folder / 'schema.json'}", flush=True)
        fetch(folder, given.url)
        for language, step in steps.items():
            if given.only in {None, language}:
                print(f"Generating and checking {folder / language}…", flush=True)
                step(folder)
    except subprocess.CalledProcessError as error:
        print(f"{' '.join(map(str, error.cmd))}\n{error.stdout}{error.stderr}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
