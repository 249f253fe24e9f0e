"""Reads the environment, and a `.env` file beside `manage.py` if there is one.

Every variable that the project knows is listed, with its meaning, in `.env.example`.
"""

from __future__ import annotations

import os
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent.parent

env = environ.Env()

if not os.environ.get("GUIDON_IGNORE_DOTENV"):
    environ.Env.read_env(BASE_DIR / ".env")

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
