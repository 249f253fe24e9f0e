"""The clients that `make api-client` generates, against the live server: Python and TypeScript."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.clients import generate, node
from tests.conftest import FlagFile
from tests.factories import UserFactory, token_for
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

STORY = [
    ["create", 201, 1, '"1"'],
    ["invalid", 400, "urn:guidon:problem:validation"],
    ["confirmation", 409, 3, 0],
    ["confirmed", 200, 2],
    ["conflict", 412, "Everybody"],
]
"""What each client prints before it comes to the member."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("api-client")
    generate.fetch(found, None)
    return found


@pytest.fixture
def people(flag_file: FlagFile, transactional_db: None) -> list[User]:
    flag_file()
    return [UserFactory.create(superuser=True), *UserFactory.create_batch(2)]


def printed(command: list[str], where: Path, **environment: str) -> list[Any]:
    ended = subprocess.run(
        command,
        cwd=where,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def check(told: list[Any], user: User) -> None:
    assert told[: len(STORY)] == STORY
    assert told[len(STORY) :] == [["members", 201, [str(user.pk)]], ["context", False, 2]]


def test_python(folder: Path, live_server: LiveServer, people: list[User]) -> None:
    generate.generate_python(folder)
    arguments = [live_server.url, token_for(people[0]), str(people[1].pk)]
    where = folder / "python"
    told = printed([sys.executable, "story.py", *arguments], where, PYTHONPATH=str(where))
    check(told, people[1])


def test_typescript(folder: Path, live_server: LiveServer, people: list[User]) -> None:
    node.require_node()
    generate.generate_typescript(folder)
    arguments = [live_server.url, token_for(people[0]), str(people[1].pk)]
    check(printed(["node", "built/story.js", *arguments], folder / "typescript"), people[1])


def test_a_client_that_does_not_fit_the_schema_is_refused(folder: Path) -> None:
    """The check is real: another type of a field stops it."""
    schema = json.loads((folder / "schema.json").read_text())
    del schema["components"]["schemas"]["Part"]["properties"]["at_least"]
    wrong = folder / "wrong"
    wrong.mkdir()
    (wrong / "schema.json").write_text(json.dumps(schema))
    with pytest.raises(subprocess.CalledProcessError) as raised:
        generate.generate_python(wrong)
    assert "at_least" in raised.value.stdout
