"""No evaluation imports anything: a child forked in the middle of an import would wait for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag
from tests.services.processes import run_python
from tests.services.redis import redis_server

PROGRAM = """
import json, sys, django
django.setup()
from featureflags.evaluation import all_flags, is_enabled, looking, track, variation
from featureflags.launchdarkly.client import close
before = set(sys.modules)
variation("beta", anonymous_key="visitor")
is_enabled("new-checkout", "somebody")
all_flags("somebody")
track("bought", "somebody", data={"sum": 3})
with looking():
    variation("beta", "somebody", attributes={"cart": [1]})
close()
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.fixture(params=["file", "streaming", "polling", "redis", "daemon"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str | None]]:
    env: dict[str, str | None] = {
        "DATABASE_URL": None,
        "REDIS_URL": None,
        "CELERY_BROKER_URL": None,
        "GUIDON_IGNORE_DOTENV": "1",
        "GUIDON_VAR_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
        "LAUNCHDARKLY_SOURCE": "auto" if request.param == "redis" else request.param,
        "LOG_LEVEL": "CRITICAL",
    }
    with ExitStack() as servers:
        if request.param in {"streaming", "polling", "redis"}:
            server = servers.enter_context(LaunchDarklyServer(boolean_flag("beta")))
            env["LAUNCHDARKLY_SDK_KEY"] = server.sdk_key
            env |= {f"LAUNCHDARKLY_{name}_URI": server.url for name in ("BASE", "STREAM", "EVENTS")}
        if request.param in {"redis", "daemon"}:
            redis = servers.enter_context(redis_server())
            env["REDIS_URL" if request.param == "redis" else "LAUNCHDARKLY_DAEMON_URL"] = redis.url
        yield env


def test_an_evaluation_finds_all_modules_there(environment: dict[str, str | None]) -> None:
    done = run_python(environment, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
