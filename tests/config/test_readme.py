"""What the README says of segments, operators, commands and settings is there, and all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from featureflags.models.validation import find_problems
from featureflags.segments.operator_labels import OPERATORS
from tests.browser.pictures import FOLDER, PICTURES
from tests.conftest import create_default_segments

README = (Path(__file__).parent.parent.parent / "README.md").read_text()


@pytest.mark.parametrize("op", OPERATORS)
def test_every_operator_has_an_entry_with_an_example(op: str) -> None:
    [row] = [line for line in README.splitlines() if line.startswith(f"| `{op}` |")]
    assert f"{op} `[" in row, "the example"


@pytest.mark.parametrize("op", OPERATORS)
def test_the_example_of_an_operator_is_a_rule_that_can_be_saved(op: str) -> None:
    [row] = [line for line in README.splitlines() if line.startswith(f"| `{op}` |")]
    example = re.fullmatch(r"(?:`(\w+)` )?(\w+) `(\[.*\])`", row.split(" | ")[-1].rstrip(" |"))
    assert example is not None
    attribute, named, values = example.groups()
    assert named == op
    clause = {"attribute": attribute or "", "op": op, "values": json.loads(values)}
    assert find_problems("mine", [{"clauses": [clause]}], {"employee": frozenset()}) == []


def test_every_default_segment_has_an_entry_that_tells_its_rule() -> None:
    for key, _, _, clauses in create_default_segments.__globals__["SEGMENTS"]:
        [row] = [line for line in README.splitlines() if line.startswith(f"| `{key}` |")]
        for clause in clauses:
            assert f"{clause['op']} `{json.dumps(clause['values'])}`" in row
            assert f"`{clause['attribute']}`" in row


def test_every_command_has_an_entry() -> None:
    ours = {name for name, app in get_commands().items() if app == "featureflags"}
    assert ours
    assert not {name for name in ours if f"`{name}" not in README}


def test_the_pictures_of_the_tour_are_there_and_no_others() -> None:
    named = re.findall(r"!\[[^\]]+\]\((docs/[^)]+)\)", README)
    taken = [f"docs/pictures/{path.name}" for path in FOLDER.glob("*.png")]
    assert sorted(named) == sorted(taken) == sorted(f"docs/pictures/{one}.png" for one in PICTURES)
