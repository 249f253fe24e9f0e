"""The clients that `make api-client` generates, against the live server: Python and TypeScript."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.clients import generate, node
from tests.clients.serving import programs_of
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule, token_for
from users.models import User

# A client sees HTTP and no database: what the answers hold is tested on both stacks elsewhere.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded_stack]

STORY = [
    ["create", 201, 1, '"1"'],
    ["invalid", 400, "urn:guidon:problem:validation"],
    ["confirmation", 409, 3, 0],
    ["confirmed", 200, 2],
    ["conflict", 412, "Everybody"],
]
"""What each client prints before it comes to the member."""
DOCUMENTED = ["leaving: 2", "Payers"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    found = tmp_path_factory.mktemp("api-client")
    generate.fetch(found, None)
    with pytest.MonkeyPatch.context() as patch:
        # What a client imports is checked once for all clients.
        patch.setenv("MYPY_CACHE_DIR", str(found / "mypy"))
        yield found


@pytest.fixture
def people(flag_file: FlagFile, transactional_db: None) -> list[User]:
    flag_file()
    return [UserFactory.create(superuser=True), *UserFactory.create_batch(2)]


def printed(command: list[str], where: Path, **environment: str) -> list[Any]:
    return [json.loads(line) for line in output(command, where, **environment)]


def output(command: list[str], where: Path, **environment: str) -> list[str]:
    return node.run(command, where, **environment).splitlines()


def check(answers: list[Any], user: User) -> None:
    assert answers[: len(STORY)] == STORY
    assert answers[len(STORY) :] == [
        ["members", 201, [str(user.pk)]],
        ["explain", "excluded", False, False],
    ]


def test_python(folder: Path, live_server: LiveServer, people: list[User]) -> None:
    generate.generate_python(folder)
    arguments = [live_server.url, token_for(people[0]), str(people[1].pk)]
    where = folder / "python"
    answers = printed([sys.executable, "story.py", *arguments], where, PYTHONPATH=str(where))
    check(answers, people[1])


def test_typescript(folder: Path, live_server: LiveServer, people: list[User]) -> None:
    node.require_node()
    generate.generate_typescript(folder)
    arguments = [live_server.url, token_for(people[0]), str(people[1].pk)]
    check(printed(["node", "built/story.js", *arguments], folder / "typescript"), people[1])


@pytest.fixture
def documented(live_server: LiveServer, people: list[User]) -> dict[str, str]:
    """The programs of the page about the API, for this server and a key."""
    SegmentFactory.create(
        key="paying_customer", name="Paying", rules=[rule(clause("role", "in", "user"))]
    )
    replaced = {"https://guidon.example.com": live_server.url, "gdn_…": token_for(people[0])}
    return programs_of(("api.md",), replaced)


def test_the_documented_python(folder: Path, documented: dict[str, str]) -> None:
    where = folder / "python"
    if not (where / "guidon_client").exists():
        generate.generate_python(folder)
    (where / "segments.py").write_text(documented["segments.py"])
    check_type = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "segments.py"]
    generate.run(check_type, where)
    assert output([sys.executable, "segments.py"], where, PYTHONPATH=str(where)) == DOCUMENTED


def test_the_documented_typescript(folder: Path, documented: dict[str, str]) -> None:
    node.require_node()
    where = folder / "typescript"
    where.mkdir(exist_ok=True)
    (where / "segments.ts").write_text(documented["segments.ts"])
    if (where / "built").exists():
        generate.run(["node_modules/.bin/tsc"], where)
    else:
        generate.generate_typescript(folder)
    assert output(["node", "built/segments.js"], where) == DOCUMENTED


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
