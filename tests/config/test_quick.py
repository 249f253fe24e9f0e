"""Which tests `make quick` chooses for a change."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import quick
from tests.conftest import starts_processes
from tests.featureflags.cache import test_processes
from tests.featureflags.segments import test_parsing


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("featureflags/cache/single_flight.py", "tests/featureflags/cache"),
        ("featureflags/launchdarkly/rest/client.py", "tests/featureflags/launchdarkly/rest"),
        ("featureflags/decorators.py", "tests/featureflags/test_decorators.py"),
        ("featureflags/apps.py", None),
        ("featureflags/templates/admin/index.html", "tests/featureflags/admin"),
        ("featureflags/migrations/0001_initial.py", None),
        ("users/models.py", "tests/users"),
        ("users/api/views.py", "tests/users/api"),
        ("config/settings/base.py", "tests/config"),
        (
            "tests/featureflags/segments/test_parsing.py",
            "tests/featureflags/segments/test_parsing.py",
        ),
        ("tests/featureflags/segments/proof.py", "tests/featureflags/segments"),
        ("tests/users/test_that_is_deleted.py", "tests/users"),
        ("tests/services/waiting.py", "tests/services_tests"),
        ("tests/conftest.py", None),
        ("docs/operators/settings.md", "tests/docs"),
        ("README.md", "tests/docs"),
        ("requirements/base.in", None),
    ],
)
def test_a_path_is_tested_by_its_mirror(path: str, tests: str | None) -> None:
    assert quick.mirror_of(path) == tests


def test_a_module_is_not_run_twice() -> None:
    paths = ["users/models.py", "tests/users/test_models.py", "users/api/views.py"]
    assert quick.chosen(paths) == ["tests/users"]


def test_the_change_is_what_differs_from_main_and_what_git_does_not_know_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "ROOT", tmp_path)

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        subprocess.run(["git", *identity, *arguments], check=True, cwd=tmp_path)

    git("init", "--quiet", "--initial-branch=main")
    for name in ("kept.py", "committed.py", "edited.py"):
        (tmp_path / name).write_text("1\n")
    git("add", ".")
    git("commit", "--quiet", "--message=first")
    git("checkout", "--quiet", "-b", "mine")
    (tmp_path / "committed.py").write_text("2\n")
    git("commit", "--quiet", "--all", "--message=second")
    (tmp_path / "edited.py").write_text("2\n")
    (tmp_path / "new.py").write_text("1\n")
    assert quick.changed_paths() == ["committed.py", "edited.py", "new.py"]


def test_tests_that_start_processes_are_known_by_their_imports() -> None:
    assert starts_processes(quick)
    assert starts_processes(test_processes), "through its helper"
    assert not starts_processes(test_parsing)
