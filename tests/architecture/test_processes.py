"""Tests start processes in one way: `tests.services.processes` ends them, whatever happens."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent

ELSEWHERE = {
    "browser/pictures.py",  # makes the pictures of the documents; no test
    "config/test_documentation.py",  # runs what the documents tell a reader to run
    "config/test_quick.py",  # runs git
    "config/test_release.py",  # runs git and the build of a release
    "config/test_run.py",  # tests the test runner, as it is called from outside
    "docs/shell.py",  # runs the commands of the documents
    "featureflags/evaluation/test_types.py",  # runs mypy
}
OWN_MACHINERY = (
    "services/",
    "services_tests/",
    "benchmarks/",
    "run.py",
    "quick.py",
    "release.py",
    "architecture/",
)


def test_no_test_starts_a_process_by_itself() -> None:
    starts = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if "subprocess.run(" in path.read_text() or "subprocess.Popen(" in path.read_text()
    }

    assert {name for name in starts if not name.startswith(OWN_MACHINERY)} <= ELSEWHERE
