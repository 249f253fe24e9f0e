"""`make release`: what it refuses, what it builds, and when it tags."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

from featureflags.core.extras import EXTRAS
from tests import release
from tests.services.processes import ROOT

VERSION = release.version_of(ROOT)
SHIPPED = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore", "docs")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this tree, committed in a repository of its own."""
    folder = tmp_path_factory.mktemp("release")
    skipped = shutil.ignore_patterns("__pycache__")
    for name in (*SHIPPED, *release.PACKAGES):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, folder / name, ignore=skipped)
        else:
            shutil.copy(path, folder / name)
    changelog = f"# Changelog\n\n## {VERSION} – 2026-11-26\n\n- Everything.\n"
    (folder / "CHANGELOG.md").write_text(changelog)
    release.git(folder, "init", "--quiet")
    commit(folder)
    return folder


@pytest.fixture
def tree(source: Path, tmp_path: Path) -> Path:
    """A clone that a test may change."""
    release.git(tmp_path, "clone", "--quiet", str(source), "clone")
    return tmp_path / "clone"


def commit(folder: Path) -> None:
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    release.git(folder, "add", "--all")
    release.git(folder, *author, "commit", "--quiet", "--message", "All")


def test_a_tree_in_order_is_ready(tree: Path) -> None:
    assert release.problems(tree) == []


def test_a_change_that_is_not_committed_is_refused(tree: Path) -> None:
    (tree / "README.md").write_text("changed")
    assert [one for one in release.problems(tree) if "not clean" in one]


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("## 9.9.9 – 2026-11-26", "9.9.9"),
        (f"## {VERSION}", "needs a date"),
        ("## Unreleased", "none"),
    ],
)
def test_the_changelog_must_agree(tree: Path, heading: str, expected: str) -> None:
    (tree / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n")
    commit(tree)
    [problem] = release.problems(tree)
    assert expected in problem


def test_a_version_is_tagged_once(tree: Path) -> None:
    release.git(tree, "tag", f"v{VERSION}")
    [problem] = release.problems(tree)
    assert "exists already" in problem
    with pytest.raises(release.NotReady, match="exists already"):
        release.release(tree, dry_run=True)


def test_the_wheel_holds_everything_that_a_project_needs(tree: Path) -> None:
    said = release.release(tree, dry_run=True)
    assert "Nothing was tagged" in said
    assert release.git(tree, "tag") == ""
    [wheel] = (tree / "dist").glob("*.whl")
    assert len(list((tree / "dist").glob("*.tar.gz"))) == 1
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for pattern in (
        r"featureflags/templates/admin/featureflags/.*\.html",
        r"featureflags/static/featureflags/.*\.js",
        r"featureflags/migrations/0001_initial\.py",
        r"featureflags/py\.typed",
    ):
        assert [name for name in names if re.fullmatch(pattern, name)], pattern
    assert not [name for name in names if name.startswith(("tests/", "config/", "users/"))]


def test_a_wheel_that_lacks_a_file_is_refused(tree: Path) -> None:
    pyproject = tree / "pyproject.toml"
    text = pyproject.read_text()
    pyproject.write_text(
        text.replace(
            'packages = ["featureflags"]',
            'packages = ["featureflags"]\nexclude = ["/featureflags/templates"]',
        )
    )
    commit(tree)
    with pytest.raises(release.NotReady, match=r"lacks \d+ files, such as featureflags/templates/"):
        release.release(tree, dry_run=True)


def test_every_package_that_a_project_may_install_is_pinned_for_the_tests() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = [name for each in project["optional-dependencies"].values() for name in each]
    declared = {_name(line) for line in (*project["dependencies"], *extras)}
    pinned = (ROOT / "requirements" / "dev.txt").read_text().splitlines()
    assert declared <= {_name(line) for line in pinned if line[:1].isalpha()}


def test_the_extras_are_those_whose_modules_are_known() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["optional-dependencies"]
    assert set(declared) == {*EXTRAS, "postgresql"}


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=;]", requirement)[0].strip().lower()


def test_make_passes_the_dry_run_on() -> None:
    plan = ["make", "--dry-run", "release"]
    real = subprocess.run(plan, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    dry = subprocess.run(
        [*plan, "DRY_RUN=1"], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    assert "tests.release" in real
    assert "--dry-run" not in real
    assert "--dry-run" in dry
