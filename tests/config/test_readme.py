"""The README is short, and the documentation names every segment, operator, command and setting."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re

import pytest
from django.core.management import get_commands

from featureflags.celery import schedule
from featureflags.contexts.results import Degradation
from featureflags.core.conf import FeatureFlagsSettings
from featureflags.models.validation import find_problems
from featureflags.segments.operator_labels import OPERATORS
from tests.browser.pictures import FOLDER, PICTURES
from tests.services.processes import ROOT

DOCS = ROOT / "docs"
default_segments = importlib.import_module("featureflags.migrations.0002_default_segments")
README = (ROOT / "README.md").read_text()
LINES_OF_README = 200


def page(name: str) -> str:
    return (DOCS / name).read_text()


def row_of(text: str, name: str) -> str:
    """The one row of a table that is about `name`."""
    [row] = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
    return row


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(README.splitlines()) <= LINES_OF_README


def test_the_readme_leads_to_every_page() -> None:
    pages = {
        path.relative_to(ROOT).as_posix()
        for path in DOCS.rglob("*.md")
        if path.name != "index.md" and path.parent.name != "contributors"
    }
    assert pages == set(re.findall(r"\((docs/[^)]+\.md)\)", README))


@pytest.mark.parametrize("op", OPERATORS)
def test_the_example_of_an_operator_is_a_rule_that_can_be_saved(op: str) -> None:
    row = row_of(page("developers/segments.md"), op)
    example = re.fullmatch(r"(?:`(\w+)` )?(\w+) `(\[.*\])`", row.split(" | ")[-1].rstrip(" |"))
    assert example is not None
    attribute, named, values = example.groups()
    assert named == op
    clause = {"attribute": attribute or "", "op": op, "values": json.loads(values)}
    assert find_problems("mine", [{"clauses": [clause]}], {"employee": frozenset()}) == []


def test_every_default_segment_has_an_entry_with_its_rule() -> None:
    for key, _, _, clauses in default_segments.SEGMENTS:
        row = row_of(page("product-managers/segments.md"), key)
        for clause in clauses:
            assert f"{clause['op']} `{json.dumps(clause['values'])}`" in row
            assert f"`{clause['attribute']}`" in row


def test_every_command_has_an_entry_and_every_entry_is_a_command() -> None:
    ours = {name for name, app in get_commands().items() if app in {"featureflags", "users"}}
    table = page("operators/commands.md").partition("## Scheduled tasks")[0]
    assert ours
    assert set(re.findall(r"^\| `(\w+)[^|]*` \|", table, re.MULTILINE)) == ours


def test_every_scheduled_task_has_an_entry() -> None:
    table = page("operators/commands.md").partition("## Scheduled tasks")[2]
    tasks = {*schedule(), "clear-sessions"}
    assert set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)) == tasks


def test_every_setting_is_a_variable_or_has_an_entry() -> None:
    variables = (ROOT / "config" / "settings" / "base.py").read_text()
    given = set(re.findall(r'"([A-Z_]+)": (?:env\.\w+|\w+)\(', variables))
    table = page("operators/settings.md").partition("FEATUREFLAGS` only")[2]
    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`([A-Z_]+)`", row)
    }
    every = {field.name.upper() for field in dataclasses.fields(FeatureFlagsSettings)}
    assert named == every - given


def test_every_degradation_has_an_entry() -> None:
    table = page("operators/guarantees.md")
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Degradation)


def test_the_pictures_of_the_tour_are_there_and_no_others() -> None:
    named = re.findall(r"!\[[^\]]+\]\(\.\./pictures/([^)]+)\)", page("product-managers/tour.md"))
    taken = [path.name for path in FOLDER.glob("*.png")]
    assert sorted(named) == sorted(taken) == sorted(f"{one}.png" for one in PICTURES)
