"""What a child process does first after any fork: `in_child(callback)`.

Python runs the callbacks after `os.fork`. uWSGI forks in C, where Python's hooks do not run, and has a
hook of its own: without it a LaunchDarkly client that was made before the fork would stay as it was
for ever, and its locks might be held by threads that the child does not have.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

_callbacks: list[Callable[[], None]] = []


def in_child(callback: Callable[[], None]) -> None:
    """Call it in each child that is forked from now on, in the order of registration."""
    _callbacks.append(callback)
    os.register_at_fork(after_in_child=callback)


def _run() -> None:
    for callback in _callbacks:
        callback()


def uwsgi() -> Any:
    """The module that uWSGI gives to its workers; None under any other server."""
    try:
        return importlib.import_module("uwsgi")
    except ImportError:
        return None


def _join_uwsgi() -> None:
    server = uwsgi()
    if server is None:
        return
    before = getattr(server, "post_fork_hook", None)

    def hook() -> None:
        if before is not None:
            before()
        _run()

    server.post_fork_hook = hook


_join_uwsgi()
