"""Fixtures that several modules of this folder use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A folder in place of .venv, with this very Python and up to date: nothing is installed."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for stamp in (".installed", ".installed-to-run", ".installed-for-docs"):
        (folder / stamp).touch()
    return folder
