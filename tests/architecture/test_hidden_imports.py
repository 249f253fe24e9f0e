"""Imports stand at the top of their module: one in a function or under TYPE_CHECKING hides a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.sources import imported_names, is_first_party, modules

ALLOWED = {"featureflags/apps.py: ready", "users/apps.py: ready"}
"""Django imports `apps.py` before models can be imported, and calls `ready` after."""


def hidden_imports(tree: ast.Module) -> Iterator[str]:
    """Where the module imports first-party code outside its top level: a function, or a branch."""
    for node in ast.walk(tree):
        place = _place(node)
        if place and any(
            is_first_party(name) for inner in ast.walk(node) for name in imported_names(inner)
        ):
            yield place


def _place(node: ast.AST) -> str | None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    return "TYPE_CHECKING" if isinstance(node, ast.If) else None


def test_first_party_imports_are_at_the_top_level() -> None:
    found = {
        f"{path}: {place}" for path, tree in modules().items() for place in hidden_imports(tree)
    }

    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "def check():\n    from users.models import User",
        "async def check():\n    import users.models",
        "if TYPE_CHECKING:\n    from featureflags import checks",
        "class A:\n    def b(self):\n        if self:\n            from config import urls",
    ],
)
def test_a_hidden_import_is_found(source: str) -> None:
    assert list(hidden_imports(ast.parse(source)))


def test_an_import_of_a_library_in_a_function_is_not_our_circle() -> None:
    assert not list(hidden_imports(ast.parse("def check():\n    import json")))
