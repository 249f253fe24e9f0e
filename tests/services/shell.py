"""One process for many programs of a test: `manage.py shell` takes a second to start for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from tests.services.processes import Piped

Shell = Callable[[str], str]
"""Runs a program and returns what it writes. Raises AssertionError with the trace of one that fails."""

PROGRAM: Final = """
import contextlib, io, json, sys, traceback
import django; django.setup()
for line in sys.stdin:
    written, failed = io.StringIO(), ""
    with contextlib.redirect_stdout(written):
        try:
            exec(json.loads(line), {})
        except Exception:
            failed = traceback.format_exc()
    print(json.dumps([written.getvalue(), failed]), flush=True)
"""


@contextmanager
def running_shell(env: Mapping[str, str | None]) -> Iterator[Shell]:
    """Django in a process with these variables; killed at the end."""
    with Piped(env, "-c", PROGRAM) as process:

        def run(program: str) -> str:
            process.write_line(json.dumps(program))
            written, failed = json.loads(process.read_line())
            assert not failed, failed
            return str(written)

        yield run
