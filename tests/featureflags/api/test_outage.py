"""Servers die under the running web server: flags go on, everything else says 503."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from redis import Redis

from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.postgres import PostgresServer, postgres_server
from tests.services.processes import WebProcess, manage, running_server
from tests.services.redis import RedisServer, redis_server
from tests.services.variables import Account, accounts_of
from tests.services.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.production_stack

SECONDS = PATIENCE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running Guidon, the servers behind it, and who has an account."""

    web: WebProcess
    postgres: PostgresServer
    redis: RedisServer
    accounts: dict[str, Account]

    def get(self, path: str, *, session: str = "", key: str = "") -> Answer:
        """Ask as the person of this name, by session or key; else as a visitor."""
        headers = {}
        if session:
            headers["Cookie"] = f"sessionid={self.accounts[session].session}"
        if key:
            headers["Authorization"] = f"Bearer {self.accounts[key].token}"
        url = urllib.parse.urljoin(f"{self.web.url}/api/v1/", path)
        request = urllib.request.Request(url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as response:
                return _answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, error.read())

    def home(self, *, session: str = "") -> int:
        """The status of the home page."""
        return self.get("../../", session=session).status

    def values(self, *, session: str = "") -> dict[str, Any]:
        answer = self.get("flags/", session=session)
        assert answer.status == 200, self.web.log()
        return {item["flag"]: item["value"] for item in answer.body["results"]}


def _answer(status: int, headers: Any, body: bytes) -> Answer:
    is_json = headers.get_content_type() == "application/json"
    parsed = json.loads(body) if is_json else body.decode(errors="replace")[:2000]
    return Answer(status=status, headers=dict(headers), body=parsed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What the web servers of all tests share."""

    env: dict[str, str | None]
    postgres: PostgresServer
    redis: RedisServer
    accounts: dict[str, Account]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("outage")
    flags = {
        flag["key"]: flag
        for flag in (
            boolean_flag("new-checkout", rules=[segment_rule("employee")]),
            boolean_flag("internal-tools", rules=[segment_rule("employee")]),
        )
    }
    flag_file = folder / "flags.json"
    flag_file.write_text(json.dumps({"flags": flags}))
    with postgres_server() as postgres, redis_server() as redis:
        env: dict[str, str | None] = {
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
            "GUIDON_IGNORE_DOTENV": "1",
            "GUIDON_VAR_DIR": str(folder / "var"),
            "DEBUG": "false",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "CELERY_BROKER_URL": None,
            "LAUNCHDARKLY_FLAG_FILE": str(flag_file),
            # What is answered is tested here. On a machine that is busy, a Redis that lives may take
            # longer than a flag check waits for it.
            "FLAG_CHECK_DATABASE_SECONDS": "10",
            "FLAG_CHECK_REDIS_SECONDS": "10",
        }
        migrated = manage(env, "migrate", "--verbosity=0")
        assert migrated.returncode == 0, migrated.stderr
        yield Servers(env=env, postgres=postgres, redis=redis, accounts=accounts_of(env))


@pytest.fixture(params=["gunicorn", "uvicorn"])
def site(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Site]:
    """A web server of its own, with an empty cache. Servers that the last test has stopped run again."""
    for server in (servers.postgres, servers.redis):
        if not server.running:
            server.start()
    with Redis.from_url(servers.redis.url) as client:
        client.flushall()
    with running_server(servers.env, server=request.param, path="/api/v1/flags/") as web:
        yield Site(
            web=web, postgres=servers.postgres, redis=servers.redis, accounts=servers.accounts
        )


def test_flags_answer_while_postgresql_is_down(site: Site) -> None:
    visitor, own = site.values(), site.values(session="ada")
    assert (visitor["new-checkout"], own["new-checkout"]) == (False, True)
    assert site.values(session="root")["internal-tools"] is True
    assert site.get("users/me/", session="ada").status == 200
    site.postgres.stop()

    assert site.values(session="ada") == own
    assert site.values() == visitor
    one = site.get("flags/new-checkout/", session="ada")
    assert (one.status, one.body["value"]) == (200, True)
    assert one.body["source"] in {"cache", "spare"}
    # Nobody is staff on the word of a session alone.
    assert "internal-tools" not in site.values(session="root")
    assert site.get("flags/internal-tools/", session="root").status == 404
    for path in ("flags/", "flags/new-checkout/", "users/me/", "segments/"):
        refused = site.get(path, key="root")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5"), refused.body
        both = site.get(path, key="root", session="root")
        assert both.status == 503, both.body
    for path in ("users/me/", "users/me/context/", "users/", "segments/", "segments/user/members/"):
        refused = site.get(path, session="root")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5"), refused.body

    for session in ("", "ada", "root"):
        assert site.home(session=session) == 200, site.web.log()

    site.postgres.start()
    assert site.get("users/me/", session="ada").status == 200
    assert site.get("users/me/", key="ada").status == 200
    assert site.values(session="root")["internal-tools"] is True


def test_a_session_that_nobody_can_read_is_said_to_be_so(site: Site) -> None:
    site.values(session="ada")
    site.postgres.stop()
    site.redis.stop()
    for answer in (
        site.get("flags/new-checkout/", session="ada"),
        site.get("flags/", session="ada"),
    ):
        assert answer.status == 200, site.web.log()
        items = answer.body.get("results", [answer.body])
        assert all("session_unavailable" in item["degraded"] for item in items)
    assert site.get("flags/", key="ada").status == 503


def test_flags_answer_while_redis_is_down(site: Site) -> None:
    own = site.values(session="ada")
    assert own["new-checkout"] is True
    site.redis.stop()
    assert site.values(session="ada") == own
    one = site.get("flags/new-checkout/", session="ada")
    assert (one.status, one.body["value"], one.body["degraded"]) == (200, True, [])
    assert site.get("flags/", key="ada").status == 200
    assert site.get("users/me/", session="ada").status == 200
    assert site.get("segments/", session="root").status == 200
    for session in ("", "ada", "root"):
        assert site.home(session=session) == 200, site.web.log()
    site.redis.start()
    assert site.values(session="ada") == own
