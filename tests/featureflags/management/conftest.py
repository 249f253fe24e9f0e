"""Commands called as `manage.py` calls them: what they wrote, and how they ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    out: str
    error: str | None = None
    """The message of the CommandError that `manage.py` turns into exit code 1."""


Call = Callable[..., Ended]


@pytest.fixture
def call() -> Call:
    def run(name: str, *arguments: str, **options: Any) -> Ended:
        out = StringIO()
        error: str | None = None
        try:
            call_command(name, *arguments, stdout=out, stderr=StringIO(), **options)
        except CommandError as raised:
            error = str(raised)
        return Ended(out=out.getvalue(), error=error)

    return run
