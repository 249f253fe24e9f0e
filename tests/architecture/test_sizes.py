"""Files and functions are small enough to be read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture.sources import ROOT, modules

MOST_LINES_OF_A_FILE: Final = 300
MOST_LINES_OF_A_FUNCTION: Final = 40
LONGER: Final[set[str]] = set()
"""Functions that may be longer, each with its reason beside it."""


def long_functions(tree: ast.Module) -> Iterator[str]:
    """The functions with too many lines, from `def` to the end."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MOST_LINES_OF_A_FUNCTION:
                yield node.name


def test_files_are_small() -> None:
    tests = (str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py"))
    lines = {path: len((ROOT / path).read_text().splitlines()) for path in [*modules(), *tests]}

    assert {path: n for path, n in lines.items() if n > MOST_LINES_OF_A_FILE} == {}


def test_functions_are_small() -> None:
    found = {
        f"{path}: {name}"
        for path, tree in modules().items()
        if "/migrations/" not in path
        for name in long_functions(tree)
    }

    assert found == LONGER


@pytest.mark.parametrize(
    ("statements", "expected"),
    [(MOST_LINES_OF_A_FUNCTION - 1, []), (MOST_LINES_OF_A_FUNCTION, ["work"])],
)
@pytest.mark.parametrize("start", ["def", "async def"])
def test_a_long_function_is_found(start: str, statements: int, expected: list[str]) -> None:
    source = f"{start} work():\n" + "    pass\n" * statements

    assert list(long_functions(ast.parse(source))) == expected
