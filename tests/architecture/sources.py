"""The first-party modules, parsed."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
PACKAGES: Final = ("config", "featureflags", "users")


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of each first-party file, by its path from the root."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in paths}


def is_first_party(name: str) -> bool:
    """True for `users` and any module below it."""
    return name.partition(".")[0] in PACKAGES


def imported_names(node: ast.AST) -> list[str]:
    """The modules that an import statement names; none for any other node."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module] if node.module and not node.level else ["users.relative"]
    return []
