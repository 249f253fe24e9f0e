"""docs/developers/imports.md lists what a project may import: it says neither more nor less."""

from __future__ import annotations

import ast
import importlib
import re
from types import ModuleType

import pytest

from tests.architecture.sources import ROOT, modules

PAGE = ROOT / "docs" / "developers" / "imports.md"
WHOLE = ("decorators", "evaluation", "flags", "kinds", "testing")
"""Modules that are for projects as a whole: each of their names is listed."""
LOOKS_INSIDE = {"config/views.py"}
"""The demo's page shows how an answer comes about."""


def listed() -> dict[str, set[str]]:
    """The names of the table, by module."""
    rows = re.findall(r"^\| `(featureflags[\w.]*)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    return {module: set(re.findall(r"`(\w+)`", names)) for module, names in rows}


def own_names(module: ModuleType) -> set[str]:
    """What `__all__` lists but modules, or else the functions and classes that it defines."""
    names = getattr(module, "__all__", None)
    if names is None:
        return {
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
            if callable(value)
        }
    found = {name: getattr(module, name, None) for name in names}
    return {name for name, value in found.items() if not isinstance(value, ModuleType | None)}


@pytest.mark.parametrize(("module", "names"), listed().items())
def test_each_listed_name_exists(module: str, names: set[str]) -> None:
    there = importlib.import_module(module)

    assert {name for name in names if not hasattr(there, name)} == set()


@pytest.mark.parametrize("name", WHOLE)
def test_no_name_for_projects_is_missing(name: str) -> None:
    module = importlib.import_module(f"featureflags.{name}")

    assert own_names(module) - listed()[module.__name__] <= {"resolve"}


def test_our_own_project_keeps_to_the_list() -> None:
    allowed = {f"{module}.{name}" for module, names in listed().items() for name in names}
    used = {
        f"{node.module}.{alias.name}"
        for path, tree in modules().items()
        if path.startswith("config/") and path not in LOOKS_INSIDE
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("featureflags")
        for alias in node.names
    }

    assert used - allowed == set()
