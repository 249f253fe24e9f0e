"""Reads the environment, and a `.env` file beside `manage.py` if there is one.

Every variable that the project knows is listed, with its meaning, in `.env.example`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent.parent

_TRUE = frozenset({"true", "yes", "on", "1", "y", "ok"})
_FALSE = frozenset({"false", "no", "off", "0", "n"})


class Environment(environ.Env):  # type: ignore[misc]  # the package has no types
    """As environ's, but an empty variable is a missing one (a list may be empty), and a value of the
    wrong kind raises ImproperlyConfigured with the variable's name."""

    def get_value(
        self,
        var: str,
        cast: Any = None,
        default: Any = environ.Env.NOTSET,
        parse_default: bool = False,
    ) -> Any:
        text = os.environ.get(var, "").strip()
        if not text and cast is not list and default is not self.NOTSET:
            return default
        if cast is bool:
            if text.lower() not in _TRUE | _FALSE:
                raise ImproperlyConfigured(f"{var} must be true or false, and is neither.")
            return text.lower() in _TRUE
        try:
            return super().get_value(var, cast, default, parse_default)
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} must be a number.") from error


env = Environment()

if not os.environ.get("GUIDON_IGNORE_DOTENV"):
    environ.Env.read_env(BASE_DIR / ".env")

_ADDRESS = re.compile(
    r"(?P<scheme>[a-z0-9+]+)://(?P<user>[^:@/]*):(?P<password>.+)@(?P<rest>[^@]*)"
)


def quoted_url(address: str) -> str:
    """The address with its password percent-encoded, whatever characters it holds.

    `postgres://guidon:p@ss/w#rd@host/name` would be read as the host `ss` otherwise. A password that
    is encoded already (`p%40ss`) stays as it is.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return address
    password = quote(found["password"], safe="%")
    return f"{found['scheme']}://{found['user']}:{password}@{found['rest']}"


def _is_readable(address: str) -> bool:
    """A broker may have several, with a mark between them: those are its client's to read."""
    try:
        return bool({";", ","} & {*address}) or urlsplit(address).port != 0
    except ValueError:
        return False


def url(name: str, default: str = "") -> str:
    """The address in a variable, ready to be parsed.

    Raises ImproperlyConfigured where its host or port cannot be read. It does not repeat the address, which may
    hold a password.
    """
    address = quoted_url(env.str(name, default=default))
    if not _is_readable(address):
        raise ImproperlyConfigured(
            f"{name} cannot be read as an address: look at its host and its port."
            " Write scheme://user:password@host:port/name."
        )
    return address


VAR_DIR = Path(env.str("GUIDON_VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
"""Where the embedded default keeps its database, cache and flag file. Never committed."""

INSECURE_SECRETS = frozenset(
    {
        "",
        "insecure-development-key",
        "change-me",
        "sdk-00000000-0000-0000-0000-000000000000",
    }
)
"""Secrets that production refuses: empty, the development key, and what `.env.example` shows."""


def whole(name: str, default: int) -> int | str:
    """A variable for FEATUREFLAGS as a whole number, or its text where it is not one.

    The system checks of Guidon name such a setting; an exception here would be a traceback.
    """
    text: str = env.str(name, default="").strip()
    try:
        return int(text) if text else default
    except ValueError:
        return text


def decimal(name: str, default: float) -> float | str:
    """As `whole`, for a number that may have decimals."""
    text: str = env.str(name, default="").strip()
    try:
        return float(text) if text else default
    except ValueError:
        return text


def boolean(name: str, *, default: bool) -> bool | str:
    """As `whole`, for true or false: a misspelt text is not silently false."""
    text: str = env.str(name, default="").strip()
    if not text:
        return default
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    return text
