"""The npm packages of `package-lock.json`, installed once for each test run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

HERE: Final = Path(__file__).resolve().parent
FILES: Final = ("package.json", "package-lock.json", "node.mjs", "web.mjs", "vendor.mjs")
SECONDS: Final = 300
REQUIRED: Final = "GUIDON_NODE_REQUIRED"
"""Set by `.ci/run`: there Node is installed, and a test that is skipped would prove nothing."""
NO_NODE: Final = "no node and npm here (Debian: apt-get install nodejs npm)"


def require_node() -> None:
    """Skip the test where Node is missing, unless it is required."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get(REQUIRED):
            pytest.fail(NO_NODE)
        pytest.skip(NO_NODE)


def install(folder: Path) -> Path:
    """Install the packages, exactly those of the lockfile, without running their scripts."""
    for name in FILES:
        shutil.copy(HERE / name, folder / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    run(command, folder)
    return folder


def ask(folder: Path, url: str, token: str, questions: Sequence[object]) -> list[dict[str, Any]]:
    """What `@openfeature/ofrep-provider` answers, in a process of its own."""
    printed = run(["node", "node.mjs", url, token, json.dumps(questions)], folder)
    answers: list[dict[str, Any]] = json.loads(printed)
    return answers


def bundle(folder: Path, form: str = "iife", name: str = "web.mjs") -> str:
    """`web.mjs` with the web provider (`vendor.mjs`: LaunchDarkly's SDK) as one script for a page."""
    binary = next((folder / "node_modules" / "@esbuild").glob("*/bin/esbuild"))
    return run([str(binary), name, "--bundle", f"--format={form}", "--log-level=error"], folder)


def run(command: Sequence[str], folder: Path, **environment: str) -> str:
    """Its output. Raises AssertionError with what it wrote if it fails."""
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
