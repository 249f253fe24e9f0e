"""What compose.yaml starts, started here with the same commands and variables."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured

from config.settings.environment import quoted_url, url
from tests.config.composed import GIVEN, PASSWORD, environment_of, services
from tests.services.guarded import free_port
from tests.services.processes import ROOT, environment_with, python
from tests.services.redis import find_redis_server
from tests.services.waiting import wait_until

SHOW = """
import json
from django.conf import settings
database = settings.DATABASES["default"]
print("SHOWN " + json.dumps({
    "database": [database["USER"], database["PASSWORD"], database["HOST"], database["NAME"]],
    "cache": settings.CACHES["default"]["LOCATION"],
    "broker": settings.CELERY_BROKER_URL,
    "spare": settings.FEATUREFLAGS["SPARE_URL"],
}))
"""


def test_production_starts_with_it_and_any_passwords(tmp_path: Path) -> None:
    env = environment_of("web") | {
        "GUIDON_VAR_DIR": str(tmp_path),
        "STATIC_ROOT": str(tmp_path / "static"),
        "GUIDON_IGNORE_DOTENV": "1",
    }
    done = subprocess.run(
        python("manage.py", "shell", "--command", SHOW),
        check=False,
        cwd=ROOT,
        env=environment_with(env),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "SHOWN " in done.stdout, done.stderr
    shown = json.loads(done.stdout.partition("SHOWN ")[2])
    # `%41` is read as written by somebody who has encoded it: the one case that cannot be recognised.
    meant = PASSWORD.replace("%41", "A")
    assert shown["database"] == ["guidon", meant, "postgres", "guidon"]
    for name, host in (("cache", "cache"), ("broker", "broker"), ("spare", "broker")):
        pool = redis.ConnectionPool.from_url(shown[name])
        assert pool.connection_kwargs["password"] == meant
        assert pool.connection_kwargs["host"] == host


@pytest.mark.parametrize(
    ("address", "quoted"),
    [
        (
            "postgres://guidon:p@ss/w#rd@host:5432/name",
            "postgres://guidon:p%40ss%2Fw%23rd@host:5432/name",
        ),
        ("redis://:a?b:c@host:6379/0", "redis://:a%3Fb%3Ac@host:6379/0"),
        ("redis://:p%40ss@host/0", "redis://:p%40ss@host/0"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("postgres://guidon@host/name", "postgres://guidon@host/name"),
        ("unix:///run/redis.sock?db=0", "unix:///run/redis.sock?db=0"),
        ("sqlite:////var/db.sqlite3", "sqlite:////var/db.sqlite3"),
        ("", ""),
    ],
)
def test_passwords_in_addresses(address: str, quoted: str) -> None:
    assert quoted_url(address) == quoted


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"])
@pytest.mark.parametrize("rest", ["host:port", "host:99999", "[::1:5432", "host:0"])
def test_an_address_that_cannot_be_read_is_named_and_not_repeated(
    name: str, rest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, f"redis://user:secret@{rest}/0")
    with pytest.raises(
        ImproperlyConfigured, match=f"^{name} cannot be read as an address: "
    ) as refused:
        url(name)
    assert "secret" not in str(refused.value)
    assert refused.value.__context__ is None, "its text would repeat a part of the password"


@pytest.mark.parametrize(
    "address",
    [
        *(
            "redis://[::1]:6379/0",
            "unix:///tmp/x.sock?db=1",
            "rediss://:p%40@host:1/0?ssl_cert_reqs=none",
        ),
        *(
            "sentinel://one:26379;sentinel://two:26379",
            "postgres://u:p@%2Frun%2Fpostgresql/name",
            "",
        ),
    ],
)
def test_addresses_of_every_form_are_taken(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", address)
    assert url("REDIS_URL") == address


@pytest.mark.parametrize(
    ("service", "policy", "appendonly"),
    [("cache", "allkeys-lru", "no"), ("broker", "noeviction", "yes")],
)
def test_the_two_redis_as_they_are_started_there(
    tmp_path: Path, service: str, policy: str, appendonly: str
) -> None:
    """The command and the health check of the container, on a port of our own."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "redis-server").symlink_to(find_redis_server())
    port = free_port()
    command = [part.replace("$$", "$") for part in services()[service]["command"]]
    command[2] = command[2].replace("redis-server", f"redis-server --port {port} --bind 127.0.0.1")
    env = {
        **os.environ,
        **environment_of(service),
        "PATH": f"{binaries}:{os.environ['PATH']}",
    }
    process = subprocess.Popen(
        command, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    client = redis.Redis(port=port, password=PASSWORD, decode_responses=True)
    stranger = redis.Redis(port=port)
    try:
        wait_until(lambda: _answers(client), what="Redis")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": policy}
        assert client.config_get("appendonly") == {"appendonly": appendonly}
        assert client.config_get("save") == {"save": ""} or service == "broker"
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
    finally:
        # Asked to end, it waits for its first append-only file.
        process.kill()
        process.wait(60)
        client.close()
        stranger.close()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_beat_as_it_is_started_there(tmp_path: Path) -> None:
    """The command, and the health check's word on it, in a folder of our own."""
    beat = services()["beat"]
    here = str(tmp_path)
    command = [part.replace("/app/var", here) for part in beat["command"]]
    check = beat["healthcheck"]["test"][1].replace("/app/var", here).replace("$$", "$")
    env = environment_with(
        {
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
            "GUIDON_IGNORE_DOTENV": "1",
            "GUIDON_VAR_DIR": here,
            "CELERY_BROKER_URL": None,
            "DATABASE_URL": None,
            "REDIS_URL": None,
        }
    )

    def healthy() -> bool:
        done = subprocess.run(["sh", "-c", check], check=False, capture_output=True)
        return done.returncode == 0

    assert not healthy()
    process = subprocess.Popen(python("-m", *command), cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        wait_until(healthy, what="beat")
    finally:
        process.terminate()
        process.wait(60)
    wait_until(lambda: not healthy(), what="the end of beat")


def test_the_process_of_the_streams_as_it_is_started_there(tmp_path: Path) -> None:
    """The command answers the health check's address, and streams itself: it knows a wrong ticket."""
    port = free_port()
    bound = {"--bind=0.0.0.0:8001": f"--bind=127.0.0.1:{port}"}
    command = [bound.get(part, part) for part in services()["asgi"]["command"]]
    assert command != services()["asgi"]["command"]
    env = environment_with(
        {
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
            "GUIDON_IGNORE_DOTENV": "1",
            "GUIDON_VAR_DIR": str(tmp_path),
            "DATABASE_URL": None,
            "REDIS_URL": None,
        }
    )
    process = subprocess.Popen(python("-m", *command), cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _status(port, "/healthz") == 200, what="the streams")
        assert _status(port, "/guidon/events?ticket=wrong") == 403
    finally:
        process.terminate()
        process.wait(60)


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_without_tls_a_browser_keeps_its_session(tmp_path: Path) -> None:
    """The trial: INSECURE_HTTP alone."""
    show = (
        "from django.conf import settings as s; print('SHOWN', s.SECURE_SSL_REDIRECT, "
        "s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS)"
    )
    env = environment_of("web") | {"GUIDON_VAR_DIR": str(tmp_path), "GUIDON_IGNORE_DOTENV": "1"}
    env |= {"STATIC_ROOT": str(tmp_path / "static")}

    def shown(**changes: str) -> str:
        done = subprocess.run(
            python("manage.py", "shell", "--command", show),
            check=False,
            cwd=ROOT,
            env=environment_with(env | changes),
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout.partition("SHOWN ")[2].strip()

    assert shown(INSECURE_HTTP="true") == "False False False 0"
    assert shown() == "True True True 31536000"
    assert shown(SECURE_SSL_REDIRECT="false") == "False True True 31536000"


def test_there_is_a_docker_to_try_it_with_or_not() -> None:
    """A docker client with compose, where there is one, reads the file as we do."""
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run(
            [docker, "compose", "version"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no docker compose here")
    done = subprocess.run(
        [docker, "compose", "--env-file", "/dev/null", "config", "--quiet"],
        cwd=ROOT,
        env={**os.environ, **GIVEN},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
