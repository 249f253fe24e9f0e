"""Imports are at the top of their module: one in a function, under TYPE_CHECKING or by a dotted name
hides a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture.sources import imported_names, is_first_party, modules

ALLOWED = {"featureflags/apps.py: ready", "users/apps.py: ready"}
"""Django imports `apps.py` before models can be imported, and calls `ready` after."""

BY_NAME: Final = {
    "config/settings/caches.py: _options_of",
    "featureflags/checks/segments.py: _broken_segments",
    "featureflags/receivers.py: _loaded",
}
"""Each would make every start slower: the client of Redis where there is none, the SQL of segments, what
tasks and the history need. All of it lies in a row below, so none hides a circle."""

IMPORTERS: Final = {
    "import_module",
    "import_string",
    "__import__",
    "find_spec",
    "autodiscover_modules",
}


def hidden_imports(tree: ast.Module) -> Iterator[str]:
    """Where the module imports first-party code outside its top level: a function, or a branch."""
    for node in ast.walk(tree):
        place = _place(node)
        if place and any(
            is_first_party(name) for inner in ast.walk(node) for name in imported_names(inner)
        ):
            yield place


def imports_by_name(tree: ast.Module) -> Iterator[str]:
    """The functions (or the module) that import first-party code by a dotted name in a string."""
    for place, node in _with_places(tree, "the module"):
        if isinstance(node, ast.Call) and _called(node) in IMPORTERS:
            parts = [one for one in ast.walk(node) if isinstance(one, ast.Constant)]
            if any(is_first_party(str(part.value)) for part in parts):
                yield place


def _with_places(node: ast.AST, place: str) -> Iterator[tuple[str, ast.AST]]:
    """Every node below this one, with the name of the innermost function around it."""
    for child in ast.iter_child_nodes(node):
        yield place, child
        inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else place
        yield from _with_places(child, inner)


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _place(node: ast.AST) -> str | None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    return "TYPE_CHECKING" if isinstance(node, ast.If) else None


def test_first_party_imports_are_at_the_top_level() -> None:
    found = {
        f"{path}: {place}" for path, tree in modules().items() for place in hidden_imports(tree)
    }

    assert found == ALLOWED


def test_no_module_imports_ours_by_name() -> None:
    found = {
        f"{path}: {place}" for path, tree in modules().items() for place in imports_by_name(tree)
    }

    assert found == BY_NAME


@pytest.mark.parametrize(
    "source",
    [
        "def check():\n    return import_string('users.models.User')",
        "def check():\n    return importlib.import_module(name='featureflags.checks')",
        "def check(name):\n    return import_string(f'featureflags.tasks.{name}')",
        "def check(name):\n    return import_string('featureflags.tasks.' + name)",
        "def check():\n    return __import__('users.models')",
        "MODELS = import_module('users.models')",
    ],
)
def test_an_import_by_name_is_found(source: str) -> None:
    assert list(imports_by_name(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["import_module('uwsgi')", "import_string(setting)", "print('users.models')"]
)
def test_an_import_by_name_of_what_is_not_ours_passes(source: str) -> None:
    assert not list(imports_by_name(ast.parse(source)))


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
