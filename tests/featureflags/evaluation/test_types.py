"""What a type checker knows of the facade: `mypy --strict` over a module of a project."""

from __future__ import annotations

import re
from pathlib import Path

from tests.services.processes import ROOT, run_python

CALLER = Path(__file__).with_name("caller.py.txt")
SHORT = {
    "users.querysets.UserQuerySet[users.models.User]": "UserQuerySet",
    "users.models.User": "User",
}


def expected(source: str) -> dict[int, str]:
    """What the comments at the ends of the lines announce, by line number."""
    lines = enumerate(source.splitlines(), start=1)
    return {number: line.split("  # ")[1] for number, line in lines if "  # " in line}


def found(output: str) -> dict[int, str]:
    """The revealed types and the codes of the errors, by line number."""
    lines: dict[int, str] = {}
    for line in output.splitlines():
        revealed = re.search(r'\.py:(\d+): note: Revealed type is "(.*)"', line)
        refused = re.search(r"\.py:(\d+): error: .*\[(.*)\]$", line)
        if revealed is not None:
            name = revealed[2]
            is_json = "dict[str, ...]" in name and "list[...]" in name
            lines[int(revealed[1])] = "JSON" if is_json else SHORT.get(name, name)
        elif refused is not None:
            lines[int(refused[1])] = f"error: {refused[2]}"
    return lines


def test_a_callers_module_under_mypy_strict(tmp_path: Path) -> None:
    caller = tmp_path / "caller.py"
    caller.write_text(CALLER.read_text())
    mypy = ("-m", "mypy", "--strict", "--config-file", "pyproject.toml")
    ended = run_python({}, *mypy, str(caller))
    assert found(ended.stdout) == expected(CALLER.read_text()), ended.stdout + ended.stderr
    assert (ROOT / "featureflags" / "py.typed").is_file()
