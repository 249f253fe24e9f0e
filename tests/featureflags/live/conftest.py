"""A real ASGI server on the database of the test, and a user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import UserFactory
from tests.featureflags.live.asking import write
from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.processes import WebProcess, on_this_database, running_server
from users.models import User


@pytest.fixture
def flags(tmp_path: Path) -> Path:
    path = tmp_path / "flags.json"
    write(path, boolean_flag("new-checkout", rules=[segment_rule("beta")]))
    return path


@pytest.fixture
def ada(transactional_db: None) -> User:
    return UserFactory.create(name="Ada")


@pytest.fixture
def web(flags: Path, ada: User) -> Iterator[WebProcess]:
    env = {**on_this_database(), "LAUNCHDARKLY_FLAG_FILE": str(flags), "LIVE_STREAMS": "25"}
    with running_server(env, server="uvicorn", path="/healthz") as server:
        yield server
