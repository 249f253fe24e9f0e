"""Tests start processes in one way: `tests.services.processes` ends them, whatever happens."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent

PLACES = ("featureflags/", "users/")
"""Tests of the repository's own tools (`config/`, `services_tests/`) call them as a shell does."""


def test_no_test_starts_a_process_by_itself() -> None:
    starts = {
        str(path.relative_to(ROOT))
        for place in PLACES
        for path in (ROOT / place).rglob("*.py")
        if "subprocess.run(" in path.read_text() or "subprocess.Popen(" in path.read_text()
    }

    assert starts == set()
