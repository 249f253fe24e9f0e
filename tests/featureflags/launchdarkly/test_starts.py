"""Nothing is asked of LaunchDarkly while a worker starts: it answers first, and connects when used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.processes import WebServer, celery_worker, running_server
from tests.services.redis import redis_server
from tests.services.variables import of_embedded

WITHOUT_FLAGS = "/metrics"
"""A page that asks for no flag."""


@pytest.fixture
def env(service: LaunchDarklyServer, tmp_path: Path) -> dict[str, str | None]:
    return of_embedded(service, tmp_path)


@pytest.mark.parametrize(
    ("server", "options"),
    [("gunicorn", ()), ("gunicorn", ("--preload",)), ("uvicorn", ())],
    ids=["gunicorn", "preload", "uvicorn"],
)
def test_a_web_worker(
    env: dict[str, str | None],
    service: LaunchDarklyServer,
    server: WebServer,
    options: tuple[str, ...],
) -> None:
    with running_server(env, server=server, options=options, path=WITHOUT_FLAGS):
        assert service.requests() == []
    assert service.requests() == [], "nor when it ends"


def test_a_celery_worker(env: dict[str, str | None], service: LaunchDarklyServer) -> None:
    with (
        redis_server() as broker,
        celery_worker({**env, "CELERY_BROKER_URL": broker.url}, "--concurrency=2") as worker,
    ):
        assert service.requests() == []
        worker.stop()
    assert service.requests() == [], "nor when it ends"
