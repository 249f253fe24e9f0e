"""The file of licences is what is installed, and nothing in it binds those who use Guidon."""

from __future__ import annotations

import pytest

from tests.licences import FILE, licences, table

ACCEPTED = ("MIT", "BSD", "Apache", "PSF", "Mozilla", "MPL", "Unlicense", "ISC", "LGPL")
"""LGPL: psycopg, which is imported and not changed."""


def test_the_file_is_current() -> None:
    assert FILE.read_text() == table(), "run: .venv/bin/python -m tests.licences > LICENCES.md"


@pytest.mark.parametrize("package", licences())
def test_each_licence_is_one_of_those_that_a_user_may_ignore(package: str) -> None:
    licence = licences()[package]
    assert any(name in licence for name in ACCEPTED), licence
    assert "AGPL" not in licence
    assert ("GPL" in licence) == package.startswith("psycopg"), licence
