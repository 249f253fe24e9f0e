"""The page "In an existing project", as a reader applies it: its changes, its files, its packages."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

from tests.docs.fences import Fence, fences_of
from tests.services.processes import ROOT

PAGE: Final = ROOT / "docs" / "developers" / "existing-project.md"
SHOP: Final = ROOT / "tests" / "shop"


def fences(language: str) -> list[Fence]:
    return [fence for fence in fences_of(PAGE) if fence.language == language and fence.title]


def changes() -> list[str]:
    """The changes of files that are there, as `patch` takes them."""
    return [fence.text for fence in fences("diff")]


def added_lines() -> list[str]:
    """The lines that the changes add, without empty ones."""
    lines = [line for change in changes() for line in change.splitlines()]
    return [line[1:] for line in lines if re.match(r"\+(?!\+\+ )\s*\S", line)]


def removed_lines() -> list[str]:
    lines = [line for change in changes() for line in change.splitlines()]
    return [line[1:] for line in lines if re.match(r"-(?!-- )", line)]


def new_files() -> dict[str, str]:
    """The files that the page has the reader write."""
    return {fence.title: fence.text for fence in fences("python")}


def extras() -> list[str]:
    """Those that the page installs."""
    found = re.search(r'^pip install "guidon\[([\w,]+)\]"$', PAGE.read_text(), re.MULTILINE)
    assert found is not None
    return found[1].split(",")


def apply(folder: Path) -> None:
    """Follow the page in a copy of the shop. Raises CalledProcessError where a change does not fit."""
    for change in changes():
        subprocess.run(["git", "apply", "-"], check=True, input=change, text=True, cwd=folder)
    for name, text in new_files().items():
        (folder / name).write_text(text)
