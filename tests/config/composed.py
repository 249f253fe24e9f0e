"""compose.yaml as it is read, with the variables of an example."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.services.processes import ROOT

PASSWORD = "p@ss/w#rd?of:mine %41"

GIVEN = {
    "SECRET_KEY": "a-secret-key-that-is-long-enough-for-production-0123456789-abc",
    "ALLOWED_HOSTS": "flags.example.com",
    "LAUNCHDARKLY_SDK_KEY": "sdk-11111111-2222-3333-4444-555555555555",
    "POSTGRES_PASSWORD": PASSWORD,
    "CACHE_PASSWORD": PASSWORD,
    "BROKER_PASSWORD": PASSWORD,
}


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
