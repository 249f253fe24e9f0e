"""`on_commit(…, robust=True)` logs a failure by the callback's `__qualname__`.

A `partial`, or an instance that can be called, has none: the log call itself raises then, and the
callbacks after it never run. So a robust callback is a function of its module, or a lambda.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.sources import modules


def unnamed_robust_callbacks(tree: ast.Module) -> Iterator[int]:
    """The lines of robust `on_commit` calls whose callback need not have a `__qualname__`."""
    functions = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    } | _named_instances(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_robust_on_commit(node):
            callback = _callback(node)
            named = isinstance(callback, ast.Name) and callback.id in functions
            if not (named or isinstance(callback, ast.Lambda)):
                yield node.lineno


def _named_instances(tree: ast.Module) -> set[str]:
    """Variables that hold an instance of a class that gives each a `__qualname__` of its own."""
    classes = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(
            isinstance(inner, ast.Attribute)
            and inner.attr == "__qualname__"
            and isinstance(inner.ctx, ast.Store)
            for inner in ast.walk(node)
        )
    }
    return {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id in classes
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _is_robust_on_commit(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    robust = [keyword.value for keyword in call.keywords if keyword.arg == "robust"]
    if len(call.args) > 2:
        robust.append(call.args[2])
    return name == "on_commit" and any(
        not (isinstance(value, ast.Constant) and value.value is False) for value in robust
    )


def _callback(call: ast.Call) -> ast.expr | None:
    if call.args:
        return call.args[0]
    return next((keyword.value for keyword in call.keywords if keyword.arg == "func"), None)


def test_every_robust_callback_is_a_function() -> None:
    found = [
        f"{path}:{line}"
        for path, tree in modules().items()
        for line in unnamed_robust_callbacks(tree)
    ]

    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "transaction.on_commit(partial(send, key), robust=True)",
        "on_commit(robust=True, func=partial(send, key))",
        "def send(): ...\ntransaction.on_commit(Sender(), robust=True)",
        "transaction.on_commit(partial(send, key), None, True)",
    ],
)
def test_a_callback_without_a_name_is_found(source: str) -> None:
    assert list(unnamed_robust_callbacks(ast.parse(source)))


def test_a_function_and_a_strict_callback_are_fine() -> None:
    source = "def send(): ...\non_commit(send, robust=True)\non_commit(lambda: send(), robust=True)\non_commit(partial(send, 1))"

    assert not list(unnamed_robust_callbacks(ast.parse(source)))
