"""What the README says of segments, operators, commands and settings is there, and all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import get_commands

from featureflags.segments.wording import OPERATORS
from tests.conftest import create_default_segments

README = (Path(__file__).parent.parent.parent / "README.md").read_text()


@pytest.mark.parametrize("op", OPERATORS)
def test_every_operator_has_an_entry_with_an_example(op: str) -> None:
    [row] = [line for line in README.splitlines() if line.startswith(f"| `{op}` |")]
    assert f"{op} `[" in row, "the example"


def test_every_default_segment_has_an_entry() -> None:
    for key, *_ in create_default_segments.__globals__["SEGMENTS"]:
        assert f"\n| `{key}` |" in README


def test_every_command_has_an_entry() -> None:
    ours = {name for name, app in get_commands().items() if app == "featureflags"}
    assert ours
    assert not {name for name in ours if f"`{name}" not in README}
