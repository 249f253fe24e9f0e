"""The style sheets of the package. A browser leaves out what it cannot read, and says nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import featureflags

pytestmark = pytest.mark.pure

SHEETS = sorted((Path(featureflags.__file__).parent / "static").rglob("*.css"))


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.stem)
def test_no_declaration_is_broken(sheet: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
    assert text.count("{") == text.count("}")
    for declaration in re.findall(r"[\w-]+\s*:\s*[^;{}]*;", text):
        assert declaration.count("(") == declaration.count(")"), declaration
        assert not re.search(r",\s*;", declaration), declaration
