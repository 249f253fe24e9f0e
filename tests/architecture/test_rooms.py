"""Each room's `__init__` shows its data in an example that runs, and lists its public names.

Surfaces use only those names. A name is a module of the room, or what the room re-exports.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import pkgutil
import re
import tomllib
from collections.abc import Iterator

import pytest

import featureflags
from tests.architecture.sources import ROOT, modules

SURFACES = (
    *("admin/", "api/", "checks/", "management/", "templatetags/"),
    *(
        "celery.py",
        "decorators.py",
        "middleware.py",
        "preload.py",
        "probes.py",
        "receivers.py",
        "tasks.py",
    ),
    *("metrics.py", "openfeature.py", "testing.py", "unavailable.py", "urls.py"),
)
DECLARED = (
    *("audience", "audience.sql", "cache", "capture", "contexts", "core", "editing"),
    *(
        "editing.history",
        "evaluation",
        "flags",
        "inspection",
        "kinds",
        "launchdarkly",
        "launchdarkly.rest",
    ),
    *("launchdarkly.segment_sync", "live", "models", "segments", "warming", "webhooks"),
)


def public_names(room: str) -> frozenset[str] | None:
    """What the package below `featureflags` lists in `__all__`; None if it declares nothing."""
    listed = getattr(importlib.import_module(f"featureflags.{room}"), "__all__", None)
    return None if listed is None else frozenset(listed)


def imports_past_the_faces(tree: ast.Module) -> Iterator[str]:
    """Imports of what a room does not list."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("featureflags."):
            for name in node.names:
                path = f"{node.module}.{name.name}".split(".")[1:]
                if not _is_public(path):
                    yield ".".join(path)


def _is_public(path: list[str]) -> bool:
    """True if each package on the path that lists its names has the next one among them."""
    for depth in range(1, len(path)):
        package = ".".join(path[:depth])
        module = importlib.import_module(f"featureflags.{package}")
        if not hasattr(module, "__path__") or f"{package}/" in SURFACES:
            return not path[-1].startswith("_")
        names = public_names(package)
        if names is not None and path[depth] not in names and not _has_a_face(path[: depth + 1]):
            return False
    return True


def _has_a_face(path: list[str]) -> bool:
    """True for a package inside a room that lists names of its own, such as `editing.history`."""
    name = f"featureflags.{'.'.join(path)}"
    found = importlib.util.find_spec(name)
    is_package = found is not None and found.submodule_search_locations is not None
    return is_package and public_names(".".join(path)) is not None


def test_surfaces_use_public_names_alone() -> None:
    found = {
        f"{path}: {name}"
        for path, tree in modules().items()
        if path.removeprefix("featureflags/").startswith(SURFACES)
        for name in imports_past_the_faces(tree)
    }

    assert found == set()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "from featureflags.segments.rule_index import RuleIndex",
            ["segments.rule_index.RuleIndex"],
        ),
        ("from featureflags.segments import rule_index", ["segments.rule_index"]),
        ("from featureflags.launchdarkly.rest.transport import Secret", None),
        ("from featureflags.segments.parsing import _rules", ["segments.parsing._rules"]),
        ("from featureflags.segments.parsing import parse_definition", []),
    ],
)
def test_an_import_past_a_face_is_found(source: str, expected: list[str] | None) -> None:
    found = list(imports_past_the_faces(ast.parse(source)))

    assert found == expected if expected is not None else found


@pytest.mark.parametrize("room", DECLARED)
def test_a_room_lists_what_there_is(room: str) -> None:
    names = public_names(room)
    assert names
    for name in names:
        module = importlib.import_module(f"featureflags.{room}")
        if not hasattr(module, name):
            importlib.import_module(f"featureflags.{room}.{name}")


@pytest.mark.parametrize("room", DECLARED)
def test_the_example_of_a_room_runs(room: str) -> None:
    result = doctest.testmod(importlib.import_module(f"featureflags.{room}"))

    assert result.attempted > 0
    assert result.failed == 0


def test_no_room_is_forgotten() -> None:
    """Each package of the contract of layers is declared here or a surface; so is each module."""
    found = {one.name: one.ispkg for one in pkgutil.iter_modules(featureflags.__path__)}
    surfaces = {name.removesuffix("/").removesuffix(".py") for name in SURFACES}
    declared = {room for room in DECLARED if "." not in room}

    assert {name for name in layered() if found[name]} == declared | (
        {name for name in surfaces if found[name]}
    )
    assert {name for name in layered() if not found[name]} == {
        name for name in surfaces if not found[name]
    }


def layered() -> set[str]:
    """The modules and packages of featureflags that the contract of layers names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    rows = next(one["layers"] for one in contracts if one.get("containers") == ["featureflags"])
    return {name.strip() for row in rows for name in re.split("[|:]", row)}
