"""The code fences of the documentation, as data.

```python title="config/flags.py"
…
```
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.services.processes import ROOT

PAGES: Final = tuple(
    sorted(
        [
            *(ROOT / "docs").rglob("*.md"),
            *(
                ROOT / f"{name}.md"
                for name in ("README", "CONTRIBUTING", "ARCHITECTURE", "SECURITY")
            ),
        ]
    )
)

_FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
_TITLE: Final = re.compile(r'title="([^"]*)"')
_INCLUDE: Final = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    page: Path
    line: int
    """Of its first line, counted from 1."""
    language: str
    title: str
    text: str
    """Without its indentation; a file that it includes is part of it."""

    def __str__(self) -> str:
        title = f' title="{self.title}"' if self.title else ""
        return f"{name_of(self.page)}:{self.line} ```{self.language}{title}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def fences_of(page: Path) -> Iterator[Fence]:
    """The fences of a page, from top to bottom."""
    source = page.read_text()
    for found in _FENCE.finditer(source):
        language, _, rest = found["info"].strip().partition(" ")
        title = _TITLE.search(rest)
        text = textwrap.dedent(found["text"])
        yield Fence(
            page=page,
            line=source.count("\n", 0, found.start()) + 1,
            language=language,
            title=title[1] if title else "",
            text=_INCLUDE.sub(lambda include: (ROOT / include[1]).read_text(), text),
        )
