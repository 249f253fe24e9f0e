"""Finds the places where the project's own code and templates ask for flags by a literal key.

This app itself is not searched. In Python: calls of this app's functions with a literal first argument, where the imports of the file
name the function, and `flag_required = "…"` in a class. In templates: `{% flag "…" %}` and
`{% flag_value "…" %}` outside of comments, and in those of Jinja2 calls of these functions. It reads files, and neither the declared flags nor the
database.
"""

from __future__ import annotations

import ast
import difflib
import re
import site
import sysconfig
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.template import engines

PACKAGE = "featureflags"
ASKING = frozenset(
    name
    for function in ("is_enabled", "variation", "variation_detail")
    for name in (function, f"a{function}")
) | {"flag_required", "flag_permission", "override_flag"}
"""Functions of this app whose first argument is a flag."""
CLASS_ATTRIBUTE = "flag_required"
MENTION = re.compile(rf"\b(?:{'|'.join(sorted({*ASKING, CLASS_ATTRIBUTE}))})\b")
"""A file without these words asks for no flag. To search for them costs little; to parse every file
of a project would take most of the time of `manage.py check`."""
OURS = Path(__file__).resolve().parents[1]
"""This app: it asks for flags by a variable alone."""
NOT_THE_PROJECT = frozenset({"tests", "migrations", "node_modules", "__pycache__"})
CLOSE = 0.8
"""The least ratio of difflib at which one key may be a misspelling of another."""

TEMPLATE_SUFFIXES = frozenset({".html", ".txt", ".xml", ".js", ".md", ".j2", ".jinja", ".jinja2"})
COMMENT = re.compile(
    r"\{#.*?#\}|\{%-?\s*comment\b.*?%\}.*?\{%\s*endcomment\s*%\}"
    r"|\{%\s*verbatim\b.*?%\}.*?\{%\s*endverbatim.*?%\}",
    re.DOTALL,
)
KEY = r"""(?P<quote>["'])(?P<key>[^"']+)(?P=quote)"""
TAG = re.compile(rf"\{{%\s*flag(?:_value)?\s+{KEY}")
CALL = re.compile(rf"\b(?:{'|'.join(sorted(ASKING))})\(\s*{KEY}")
"""In an expression of Jinja2: Django's own templates pass no arguments."""
EXPRESSION = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A place that asks for a flag."""

    key: str
    path: Path
    line: int
    """Counted from 1."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def project_uses() -> list[Use]:
    """All uses in the project: in its apps, the package of its URLs, and its template folders."""
    found: list[Use] = []
    for folder in sorted(_project_folders()):
        for path in _files(folder, {".py"}):
            found += uses_in_python(path.read_text(encoding="utf-8"), path)
    for folder in sorted(_template_folders()):
        for path in _files(folder, TEMPLATE_SUFFIXES):
            found += uses_in_template(path.read_text(encoding="utf-8", errors="replace"), path)
    return found


def closest(key: str, declared: Collection[str]) -> str | None:
    """The declared key that is most like this one; None if none is much like it."""
    return next(iter(difflib.get_close_matches(key, sorted(declared), n=1, cutoff=CLOSE)), None)


def uses_in_template(text: str, path: Path) -> Iterator[Use]:
    """The uses in the text of a template. `path` is only copied into them."""
    # A comment leaves its line ends behind, so that the line numbers stay right.
    bare = COMMENT.sub(lambda found: "\n" * found.group().count("\n"), text)
    calls = (
        call
        for each in EXPRESSION.finditer(bare)
        for call in CALL.finditer(bare, each.start(), each.end())
    )
    for use in (*TAG.finditer(bare), *calls):
        yield Use(key=use["key"], path=path, line=bare.count("\n", 0, use.start()) + 1)


def uses_in_python(text: str, path: Path) -> Iterator[Use]:
    """The uses in the text of a Python file; none if it does not parse, which Python itself reports."""
    if MENTION.search(text) is None:
        return
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    nodes = list(ast.walk(tree))
    names = _imported(nodes)
    for node in nodes:
        if isinstance(node, ast.Call):
            yield from _uses_in_call(node, names, path)
        elif isinstance(node, ast.ClassDef):
            yield from _uses_in_class(node, path)


def _uses_in_call(call: ast.Call, names: dict[str, str], path: Path) -> Iterator[Use]:
    target = _resolved(call.func, names)
    if target is None or target.rpartition(".")[2] not in ASKING:
        return
    named = [keyword.value for keyword in call.keywords if keyword.arg == "flag"]
    for argument in [*call.args[:1], *named]:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield Use(key=argument.value, path=path, line=argument.lineno)


def _uses_in_class(node: ast.ClassDef, path: Path) -> Iterator[Use]:
    for statement in node.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Constant):
            continue
        targets = {target.id for target in statement.targets if isinstance(target, ast.Name)}
        if CLASS_ATTRIBUTE in targets and isinstance(statement.value.value, str):
            yield Use(key=statement.value.value, path=path, line=statement.lineno)


def _imported(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """The names that the file imports from this app, with their dotted paths."""
    names: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if _is_ours(alias.name):
                    first = alias.name.partition(".")[0]
                    names[alias.asname or first] = alias.name if alias.asname else first
    return names


def _is_ours(module: str | None) -> bool:
    return module is not None and (module == PACKAGE or module.startswith(f"{PACKAGE}."))


def _resolved(function: ast.expr, names: dict[str, str]) -> str | None:
    """The dotted path of a called function, if it comes from this app."""
    parts: list[str] = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name) or function.id not in names:
        return None
    return ".".join([names[function.id], *reversed(parts)])


def _project_folders() -> set[Path]:
    folders = {Path(app.path).resolve() for app in apps.get_app_configs()}
    urls = find_spec(settings.ROOT_URLCONF.partition(".")[0])
    if urls is not None:
        folders |= {Path(folder).resolve() for folder in urls.submodule_search_locations or ()}
    return {folder for folder in folders if folder != OURS and not _is_installed(folder)}


def _template_folders() -> set[Path]:
    found = {Path(folder).resolve() for engine in engines.all() for folder in engine.template_dirs}
    return {
        folder for folder in found if not folder.is_relative_to(OURS) and not _is_installed(folder)
    }


def _is_installed(folder: Path) -> bool:
    """True if the folder belongs to an installed package or to Python, and not to the project."""
    paths = sysconfig.get_paths()
    places = {paths[name] for name in ("purelib", "platlib", "stdlib")} | {
        site.getusersitepackages()
    }
    return any(folder.is_relative_to(Path(place).resolve()) for place in places)


def _files(folder: Path, suffixes: Collection[str]) -> Iterable[Path]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.suffix in suffixes and NOT_THE_PROJECT.isdisjoint(inside) and path.is_file():
            yield path
