"""The wheel in a fresh environment: with what it declares and nothing else, then with each extra.

The project is one of `django-admin startproject`, with Django's own user model.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from featureflags.core.extras import EXTRAS
from tests.services.environments import Environment, environment, wheel
from tests.services.processes import ROOT
from tests.services.redis import redis_server
from tests.wheel.new_project import PROGRAM, REDIS_CACHE, WITHOUT_USERS, start_project

ALONE = {"asgiref", "django", "featureflags", "ldclient", "msgspec", "re2", "sqlparse", "tqdm"}
"""Packages that the wheel brings, among others that these need."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel(tmp_path_factory.mktemp("dist"))


def run(folder: Path, installed: Environment) -> dict[str, Any]:
    ended = installed.run(PROGRAM, folder=folder)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def assert_all_is_well(found: dict[str, Any]) -> None:
    assert (found["before"], found["after"], found["renamed"]) == (False, True, False)
    assert (found["is_enabled"], found["overridden"]) == (False, True)
    assert {page for page, status in found["statuses"].items() if status != 200} == set()
    assert found["source"] == "cache"


def test_it_holds_the_app_alone(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {
        "featureflags",
        "guidon",
    }
    files = [path for path in (ROOT / "featureflags").rglob("*") if path.is_file()]
    wanted = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert wanted <= set(names)


def test_with_nothing_but_what_it_declares(built: Path, tmp_path: Path) -> None:
    installed = environment(tmp_path / "venv", built)
    [site] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    there = {path.name for path in site.iterdir()}
    assert there >= ALONE
    assert not there & {module for modules in EXTRAS.values() for module in modules}
    start_project(tmp_path, installed)
    found = run(tmp_path, installed)
    assert_all_is_well(found)
    assert found["loaded"] == []


@pytest.fixture
def redis_url() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


APPS = {"api": '"rest_framework",', "cachalot": '"cachalot",'}
MORE = {
    "sync": '"API_TOKEN": "api-1", "PROJECT": "p", "ENVIRONMENT": "e"',
    "tracing": '"TRACING": True',
}


@pytest.mark.parametrize(
    "extra", ["celery", "api", "cachalot", "sync", "metrics", "openfeature", "tracing"]
)
def test_with_one_extra(built: Path, tmp_path: Path, extra: str) -> None:
    installed = environment(tmp_path / "venv", built, extras=[extra])
    start_project(tmp_path, installed, apps=APPS.get(extra, ""), more=MORE.get(extra, ""))
    found = run(tmp_path, installed)
    assert_all_is_well(found)
    assert set(EXTRAS[extra]) <= set(found["loaded"])
    others = {module for name in EXTRAS if name != extra for module in EXTRAS[name]}
    if extra != "celery":  # its Redis transport brings redis
        assert not others & set(found["loaded"])


def test_with_redis(built: Path, tmp_path: Path, redis_url: str) -> None:
    installed = environment(tmp_path / "venv", built, extras=["redis"])
    start_project(tmp_path, installed, cache=REDIS_CACHE.format(url=redis_url))
    found = run(tmp_path, installed)
    assert_all_is_well(found)
    assert {"redis", "django_redis"} <= set(found["loaded"])


def test_in_a_project_whose_admin_has_no_users(built: Path, tmp_path: Path) -> None:
    installed = environment(tmp_path / "venv", built)
    start_project(tmp_path, installed, urls=WITHOUT_USERS)
    assert_all_is_well(run(tmp_path, installed))


def test_a_setting_without_its_extra_is_named(built: Path, tmp_path: Path) -> None:
    installed = environment(tmp_path / "venv", built)
    start_project(tmp_path, installed, more=MORE["sync"])
    ended = installed.run("manage.py", "check", folder=tmp_path)
    assert "featureflags.E056" in ended.stderr
    assert 'pip install "guidon[sync]"' in ended.stderr
    refused = installed.run("manage.py", "sync_segments", "--skip-checks", folder=tmp_path)
    assert refused.returncode != 0
