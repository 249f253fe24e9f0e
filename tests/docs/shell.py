"""The commands of shell fences, run as far as a test can: each line is one command.

`manage.py` runs in this process, on the test's database. `curl` asks the test's client. `make` is
asked for its plan: what its targets do is run by the tests that RUN_BY names. A comment that begins
with “fails” expects the command to fail.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import urlsplit

import yaml
from django.core.management import CommandError, call_command
from django.test import Client

from featureflags.flags.overrides import forced_flags
from tests.services.processes import ROOT, environment_with, manage

RUN_BY: Final[Mapping[str, str]] = {
    "run": "tests/config/test_run.py",
    "docs": "tests/config/test_documentation.py",
    "test": ".ci/run",
    "api-client": "tests/clients/test_generated.py",
    "release": "tests/config/test_release.py",
}
"""Where a target of the Makefile is run for real; all others only print their plan here."""

TOKEN: Final = re.compile(r"\b(gdn_[\w-]+)")
SECONDS: Final = 300


@dataclass(slots=True, kw_only=True)
class Shell:
    """What commands of one page share."""

    client: Client
    folder: Path
    """Where relative names of files lead to."""
    variables: dict[str, str] = field(default_factory=dict)
    """What a reader would export: `TOKEN`."""
    answer: Any = None
    """Of the last `curl`."""

    def run(self, text: str) -> str:
        """Run each line; their output. Raises AssertionError for one that does not do as it says."""
        return "".join(self._run_line(line) for line in text.splitlines() if line.strip())

    def _run_line(self, line: str) -> str:
        command, _, comment = line.partition("  # ")
        words = shlex.split(command, comments=True)
        words = [os.path.expandvars(self._expand(word)) for word in words]
        environment: dict[str, str] = {}
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            name, _, value = words.pop(0).partition("=")
            environment[name] = value
        if not words:
            return ""
        code, output = self._runner(words)(words, environment)
        assert (code != 0) == comment.startswith("fails"), f"{line}: {code}\n{output}"
        return output

    def _expand(self, word: str) -> str:
        for name, value in self.variables.items():
            word = word.replace(f"${name}", value)
        return word

    def _runner(self, words: list[str]) -> Callable[[list[str], dict[str, str]], tuple[int, str]]:
        program = words[0]
        if program == ".venv/bin/python":
            words.pop(0)
            return self._manage if words[0] == "manage.py" else self._python
        runners = {
            "manage.py": self._manage,
            "curl": self._curl,
            "make": self._make,
            "docker": self._docker,
            "cp": self._cp,
            "pg_dump": self._backup,
            "pg_restore": self._backup,
        }
        assert program in runners, f"Nothing runs {program!r}: add it to tests/docs/shell.py."
        return runners[program]

    def _manage(self, words: list[str], environment: dict[str, str]) -> tuple[int, str]:
        arguments = words[1:]
        if "DJANGO_SETTINGS_MODULE" in environment:
            ended = manage(environment, *arguments)
            return ended.returncode, ended.stdout + ended.stderr
        output = io.StringIO()
        code = 0
        with patch.dict(os.environ, environment), redirect_stdout(output):
            forced_flags.cache_clear()
            try:
                call_command(*arguments)
            except CommandError as error:
                code = error.returncode
                output.write(str(error))
            except SystemExit as ended_with:
                code = int(ended_with.code or 0)
        forced_flags.cache_clear()
        token = TOKEN.search(output.getvalue())
        if token is not None:
            self.variables["TOKEN"] = token[1]
        return code, output.getvalue()

    def _curl(self, words: list[str], _environment: dict[str, str]) -> tuple[int, str]:
        method, url, body, headers = "GET", "", None, {}
        rest = iter(words[1:])
        for word in rest:
            if word == "-X":
                method = next(rest)
            elif word == "-d":
                body = next(rest)
            elif word == "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            else:
                url = word
        address = urlsplit(url)
        path = f"{address.path}?{address.query}" if address.query else address.path
        # As curl does.
        kind = headers.pop("Content-Type", "application/x-www-form-urlencoded")
        self.answer = self.client.generic(method, path, body or "", kind, headers=headers)
        assert self.answer.status_code < 500, self.answer.content
        return int(self.answer.status_code in {401, 403, 404, 415}), self.answer.content.decode()

    def _make(self, words: list[str], _environment: dict[str, str]) -> tuple[int, str]:
        targets = [word for word in words[1:] if "=" not in word]
        for target in targets:
            assert (ROOT / RUN_BY.get(target, "Makefile")).exists()
        return self._call(["make", "--dry-run", *words[1:]], ROOT)

    def _docker(self, _words: list[str], _environment: dict[str, str]) -> tuple[int, str]:
        """No test has a container engine: the file is one that Compose can read."""
        services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        assert {"proxy", "web", "worker", "beat", "postgres", "cache", "broker"} <= set(services)
        return 0, ""

    def _backup(self, words: list[str], _environment: dict[str, str]) -> tuple[int, str]:
        """Another test runs these on a real PostgreSQL, with the same options."""
        tried = (ROOT / "tests/config/test_backup.py").read_text()
        for word in [words[0], *(word for word in words if word.startswith("--"))]:
            assert word.partition("=")[0] in tried, word
        return 0, ""

    def _cp(self, words: list[str], _environment: dict[str, str]) -> tuple[int, str]:
        shutil.copy(ROOT / words[1], self.folder / words[2])
        return 0, ""

    def _python(self, words: list[str], _environment: dict[str, str]) -> tuple[int, str]:
        # The environment of this run, which need not be .venv.
        python = [sys.executable if word == ".venv/bin/python" else word for word in words]
        return self._call([sys.executable, *python], ROOT)

    def _call(self, command: list[str], folder: Path) -> tuple[int, str]:
        # The test run's own choice of servers is not the command's.
        choices = ("GUIDON_VAR_DIR", "GUIDON_TEST_WORKER", "PYTEST_XDIST_WORKER", "MAKEFLAGS")
        ended = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            env=environment_with(dict.fromkeys(choices)),
            timeout=SECONDS,
        )
        return ended.returncode, ended.stdout + ended.stderr
