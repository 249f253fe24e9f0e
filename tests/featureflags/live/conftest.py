"""A real ASGI server on the database of the tests, and a user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import UserFactory
from tests.featureflags.live.asking import environment, write
from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.processes import WebProcess, running_server
from users.models import User


@pytest.fixture(scope="package")
def flags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("live") / "flags.json"
    write(path, boolean_flag("new-checkout", rules=[segment_rule("beta")]))
    return path


@pytest.fixture
def ada(transactional_db: None) -> User:
    return UserFactory.create(name="Ada")


@pytest.fixture(scope="package")
def server(django_db_setup: None, flags: Path) -> Iterator[WebProcess]:
    """One for all tests: to start it takes longer than most of them."""
    with running_server(environment(flags), server="uvicorn", path="/healthz") as started:
        yield started


@pytest.fixture
def web(server: WebProcess, ada: User) -> WebProcess:
    return server
