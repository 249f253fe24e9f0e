"""What the documentation names is there: commands with their options, files, variables, modules.

It reads the code in a line (`like this`). Fences are run by `test_fences`.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class

from featureflags.core.conf import FeatureFlagsSettings
from tests.browser.chromium import PICTURES_VARIABLE
from tests.docs.fences import PAGES, fences_of, name_of
from tests.services.processes import ROOT

INLINE: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
FENCE: Final = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)

OF_A_READER: Final = {
    "var/flags.json",
    "segments.json",
    "cases.json",
    "conftest.py",
    "shop/attributes.py",
    "kinds.py",
    "shared/page.html",
    "dist/",
    "artefacts/",
    "var/",
    "history/",
    "explain/",
    "restore/",
    "members/",
    "bulk-members/",
    "preview/",
    "size/",
}
"""Files that a reader makes, and parts of addresses."""

NOT_SETTINGS: Final = {
    "SENTINEL_OPTIONS",
    "UNLINK",
    "PGOPTIONS",
    *("UTC", "INFO", "WARNING", "ERROR"),
    "KEY",
    "LOCATION",
    "OPTIONS",
    "REQUEST_ID",
    "CONTENT_TYPE",
    "COMMAND",
    "EMAIL_OR_ID",
    PICTURES_VARIABLE,
    "ARGS",
    "PORT",
    "DISABLED",
    "FLAG_NOT_FOUND",
    "GENERAL",
    "INVALID_CONTEXT",
    "PARSE_ERROR",
    "SPLIT",
    "STATIC",
    "TARGETING_KEY_MISSING",
    "TARGETING_MATCH",
    "UNKNOWN",
    "HELP",
    "MATCHES",
    "OPERATORS",
    "PAGES",
    "VALUE_TESTS",
    "FEATUREFLAGS",
    "RULE_MATCH",
    "TOKEN",
    "UNSET",
    "_DEGRADATIONS",
}
"""Words in capitals that are something else: places to fill, and names in the code."""

PAGES_WITHOUT_HISTORY: Final = [page for page in PAGES if page.name != "changelog.md"]


def inline_code(page: Path) -> list[str]:
    return INLINE.findall(FENCE.sub("", page.read_text()))


@cache
def options_of(command: str) -> frozenset[str]:
    """Every option of a command of `manage.py`, long and short."""
    parser = load_command_class(get_commands()[command], command).create_parser(
        "manage.py", command
    )
    return frozenset(option for action in parser._actions for option in action.option_strings)


@pytest.mark.parametrize("page", PAGES_WITHOUT_HISTORY, ids=name_of)
def test_commands_have_the_options_that_are_named(page: Path) -> None:
    for code in inline_code(page):
        words = code.removeprefix(".venv/bin/python ").removeprefix("manage.py ").split()
        command = words[0]
        if "manage.py " in code and command.islower():
            assert command in get_commands(), code
        if command in get_commands():
            named = set(re.findall(r"--[a-z][a-z-]*", code))
            assert named <= options_of(command), code


@pytest.mark.parametrize("page", PAGES_WITHOUT_HISTORY, ids=name_of)
def test_make_has_the_targets_that_are_named(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for code in inline_code(page):
        target = re.match(r"make ([a-z][a-z-]*)", code)
        if target:
            assert re.search(rf"^{target[1]}:", makefile, re.MULTILINE), code


@pytest.mark.parametrize("page", PAGES_WITHOUT_HISTORY, ids=name_of)
def test_files_are_there(page: Path) -> None:
    for code in inline_code(page):
        if re.fullmatch(r"[\w./-]+(\.(py|md|yaml|yml|html|in|txt|json|toml|css|js)|/)", code):
            places = (ROOT / code, page.parent / code)
            is_address = code.startswith("/")
            assert is_address or code in OF_A_READER or any(p.exists() for p in places), code
        elif re.fullmatch(r"(featureflags|users|config|tests)/[\w/]+", code):
            assert (ROOT / code).exists(), code


@pytest.mark.parametrize("page", PAGES_WITHOUT_HISTORY, ids=name_of)
def test_variables_are_settings(page: Path) -> None:
    example = (ROOT / ".env.example").read_text()
    fields = {field.name.upper() for field in dataclasses.fields(FeatureFlagsSettings)}
    for code in inline_code(page):
        name = re.match(r"_?[A-Z][A-Z_]+(?=$|=)", code)
        if name and name[0] not in fields | NOT_SETTINGS and not hasattr(settings, name[0]):
            assert f"#{name[0]}=" in example, code


@pytest.mark.parametrize("page", PAGES_WITHOUT_HISTORY, ids=name_of)
def test_modules_can_be_imported_and_checks_exist(page: Path) -> None:
    checks = "".join(source.read_text() for source in ROOT.glob("featureflags/**/*.py"))
    for code in inline_code(page):
        if re.fullmatch(r"featureflags\.[EW]\d{3}", code):
            assert f'"{code}"' in checks, code
        elif re.fullmatch(r"(featureflags|users|config)(\.\w+)+", code):
            find(code)


def find(dotted: str) -> object:
    """The module, or what it holds. Raises ImportError or AttributeError."""
    module, _, name = dotted.rpartition(".")
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), name)


ALLOWED: Final = dict(
    re.findall(
        r"^\| `(featureflags[\w.]*)` \| (.*) \|$",
        (ROOT / "docs" / "developers" / "imports.md").read_text(),
        re.MULTILINE,
    )
)
"""The rows of “What a project may import”: names by module."""


@pytest.mark.parametrize("module", ALLOWED)
def test_what_a_project_may_import_is_there(module: str) -> None:
    names = set(re.findall(r"`(\w+)`", ALLOWED[module]))
    found = importlib.import_module(module)
    assert names
    assert not [name for name in names if not hasattr(found, name)]
    public = getattr(found, "__all__", None)
    if public is not None:
        assert names <= set(public)


def test_the_documentation_imports_nothing_else() -> None:
    wanted = re.compile(r"^from (featureflags[\w.]*) import \(?([\w, ]+)", re.MULTILINE)
    for page in PAGES:
        for fence in fences_of(page):
            for module, names in wanted.findall(fence.text):
                allowed = set(re.findall(r"`(\w+)`", ALLOWED.get(module, "")))
                assert {name.strip() for name in names.split(",")} <= allowed, fence
