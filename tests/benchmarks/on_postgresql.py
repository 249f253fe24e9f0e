"""Runs a benchmark on a PostgreSQL of its own, which is removed at the end."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

from tests.services.postgres import postgres_server

USERS = 1_000_000


def run(module: str, doc: str, users: int = USERS) -> int:
    """Run `tests.benchmarks.<module> USERS FILE` there, with the options of the command line."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--users", type=int, default=users, help=f"how many (default {users:,})")
    parser.add_argument("--json", default="", help="also write the figures to this file")
    chosen = parser.parse_args()
    name = f"tests.benchmarks.{module}"
    command = [sys.executable, "-m", name, str(chosen.users), chosen.json]
    with postgres_server() as server, tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "DATABASE_URL": server.url,
            "REDIS_URL": "",
            "GUIDON_VAR_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        }
        return subprocess.run(command, env=environment, check=False).returncode
