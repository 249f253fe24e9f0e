"""The tables of variables in docs/operators/settings.md, from the code that reads them and `.env.example`.

    python -m tests.docs.settings_table            # writes them
    python -m tests.docs.settings_table --check    # exit code 1 if they are old

A variable, its type and its default come from the settings (and gunicorn's); what is allowed from the
checks of FEATUREFLAGS; what it is for from the comment above it in `.env.example`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, get_type_hints

from featureflags.core.conf import FeatureFlagsSettings
from featureflags.core.settings_check import LEAST, MOST
from tests.services.processes import ROOT

PAGE = ROOT / "docs" / "operators" / "settings.md"
COMPOSE = ROOT / "compose.yaml"
BEGIN, END = "<!-- variables: begin -->", "<!-- variables: end -->"
SOURCES = (
    *sorted((ROOT / "config" / "settings").glob("*.py")),
    *(ROOT / "config" / "gunicorn.py", ROOT / "manage.py"),
)
TYPES = {
    "str": "text",
    "list": "list, with commas",
    "bool": "true or false",
    "boolean": "true or false",
    "int": "whole number",
    "whole": "whole number",
    "decimal": "number",
    "url": "address",
    "get": "text",
    "setdefault": "text",
}
"""By the function that reads it."""
CHOICES = {
    "LOG_FORMAT": "`console`, `json`",
    "LOG_LEVEL": "`DEBUG`, `INFO`, `WARNING`, `ERROR`",
    "WARM_ACTIVE_DAYS": "at least 1",
    "ENTRY_KEYS": "32 bytes each, in URL-safe base64",
}
"""What is allowed, where no check of a number or of a choice says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the code reads one variable."""

    type: str
    default: str | None
    """As it would be written; None if it is computed, and `.env.example` shows it."""
    setting: str
    """Its key in FEATUREFLAGS, in lower case; empty for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One variable of `.env.example`."""

    section: str
    name: str
    example: str
    comment: str


def described() -> Iterator[Described]:
    """Those of `.env.example`, in its order. One without a comment shares that of the one before."""
    section, comment, is_new = "", "", True
    for line in (ROOT / ".env.example").read_text().splitlines():
        if found := re.fullmatch(r"# --- (.+) ---", line):
            section, comment, is_new = found[1], "", True
        elif found := re.fullmatch(r"#([A-Z_]+)=(.*)", line):
            yield Described(section=section, name=found[1], example=found[2], comment=comment)
            is_new = True
        elif line.startswith("# "):
            comment = line[2:] if is_new else f"{comment} {line[2:]}"
            is_new = False


def readings() -> dict[str, Reading]:
    """Of each variable that Python reads, by name; the shared settings before those of production."""
    found: dict[str, Reading] = {}
    for source in SOURCES:
        tree = ast.parse(source.read_text())
        settings = {
            id(call): key.value.lower()
            for each in ast.walk(tree)
            if isinstance(each, ast.Dict)
            for key, value in zip(each.keys, each.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(key.value, str)
            for call in [value]
        }
        otherwise = {
            id(each.values[0]): _written(each.values[-1])
            for outer in ast.walk(tree)
            if isinstance(each := outer, ast.BoolOp) and isinstance(each.op, ast.Or)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and (read := _read(call)) is not None:
                name, kind, default = read
                if name not in found:
                    setting = settings.get(id(call), "")
                    default = otherwise.get(id(call), default)
                    found[name] = Reading(type=kind, default=default, setting=setting)
    return found


def _read(call: ast.Call) -> tuple[str, str, str | None] | None:
    """Name, type and default of the variable that this call reads; None for another call."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
    if name not in TYPES or (owner and owner not in {"env", "os.environ"}) or not call.args:
        return None
    variable = call.args[0]
    if not (isinstance(variable, ast.Constant) and re.fullmatch("[A-Z_]+", str(variable.value))):
        return None
    given = [*call.args[1:2], *(key.value for key in call.keywords if key.arg == "default")]
    return str(variable.value), TYPES[name], _written(given[0]) if given else ""


def _written(default: ast.expr) -> str | None:
    """A default as one would write it in `.env`; None where it is computed."""
    if isinstance(default, ast.IfExp):
        return _written(default.orelse)
    if isinstance(default, ast.Name) and default.id.isupper():
        return f"that of {default.id}"
    try:
        value = eval(compile(ast.Expression(default), "default", "eval"), {"__builtins__": {}})
    except NameError:
        return None
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def allowed(reading: Reading | None, name: str) -> str:
    """What values a variable takes, in words; empty where its type says all."""
    if name in CHOICES:
        return CHOICES[name]
    if reading is None or reading.setting not in {
        each.name for each in fields(FeatureFlagsSettings)
    }:
        return ""
    hint: Any = get_type_hints(FeatureFlagsSettings)[reading.setting]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return ", ".join(f"`{each.value}`" for each in hint)
    if hint not in {int, float}:
        return ""
    least, most = LEAST.get(reading.setting, 0), MOST.get(reading.setting)
    return f"at least {least:g}" if most is None else f"{least:g} to {most:g}"


def tables() -> str:
    """One table for each section of `.env.example`."""
    read = readings()
    lines: list[str] = []
    before: Described | None = None
    """The last one with a comment of its own."""
    for each in described():
        if before is None or each.section != before.section:
            lines += [
                "",
                f"### {each.section}",
                "",
                "| variable | type | default | allowed | meaning |",
            ]
            lines += ["|---|---|---|---|---|"]
        found = read.get(each.name)
        kind = "text" if found is None else found.type
        if kind == "text" and each.example.isdecimal():
            kind = "whole number"
        words = each.comment.replace("|", "\\|")
        if words.startswith("* "):
            words = "**Production needs it.** " + words[2:]
        if before is not None and each.comment == before.comment:
            words = f"see `{before.name}`"
        else:
            before = each
        default, range_ = _default(each, found), allowed(found, each.name)
        lines.append(f"| `{each.name}` | {kind} | {default} | {range_} | {words} |")
    return "\n".join(lines).strip()


def _default(variable: Described, reading: Reading | None) -> str:
    """The cell of the default."""
    if reading is None:
        found = re.search(rf"\$\{{{variable.name}:-([^}}$]*)\}}", COMPOSE.read_text())
        text = found[1] if found else ""
    else:
        text = variable.example if reading.default is None else reading.default
    if text.startswith("postgres://"):
        text = ""  # SQLite, as its meaning says
    if text.startswith("that of "):
        return f"that of `{text.removeprefix('that of ')}`"
    return f"`{text}`" if text else "none"


def page_with(tables_now: str) -> str:
    """The page with these tables between its marks."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables_now}\n{END}{after}"


def main(argv: list[str]) -> int:
    wanted = page_with(tables())
    if "--check" not in argv:
        PAGE.write_text(wanted)
    return int(PAGE.read_text() != wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
