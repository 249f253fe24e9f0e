"""The runbook is complete: each degradation, and each id of a check that the code can report."""

from __future__ import annotations

import re

from featureflags.contexts.results import Degradation
from tests.services.processes import ROOT

PAGE = (ROOT / "docs/operators/runbook.md").read_text()
ID = re.compile(r"\b([EW]0\d\d)\b")


def rows(title: str) -> dict[str, list[str]]:
    """Cells of each row of the table under a title, by the first cell."""
    section = PAGE.partition(f"{{#{title}}}")[2].partition("\n## ")[0]
    cells = [
        line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")
    ]
    return {row[0].strip("`"): row[1:] for row in cells}


def reported_ids() -> set[str]:
    """Every id that stands in the code as `featureflags.X000`."""
    text = "".join(path.read_text() for path in (ROOT / "featureflags").rglob("*.py"))
    return set(re.findall(r"featureflags\.([EW]\d{3})\b", text))


def test_every_degradation_has_a_row() -> None:
    found = rows("degradations")
    assert set(found) == {each.value for each in Degradation}
    assert all(len(cells) == 3 and all(cells) for cells in found.values())


def test_every_check_has_a_row() -> None:
    found = rows("checks")
    assert set(found) == reported_ids()
    assert all(len(cells) == 2 and all(cells) for cells in found.values())


def test_every_command_that_it_names_exists() -> None:
    known = {path.stem for path in ROOT.glob("*/management/commands/*.py")}
    named = set(re.findall(r"manage\.py (\w+)", PAGE)) - {"check", "migrate"}
    assert named
    assert named <= known
