"""A clean end of the process, however it ends, so that the last events are delivered.

- A normal end, gunicorn's workers and commands: `atexit`.
- SIGTERM where nobody handles it (a command): as a normal end, with exit code 143.
- A process of `multiprocessing`, which runs no `atexit`: its own finalizers.
- Celery's worker processes: its signals, connected in `workers`.
- An ASGI server, which ends by a signal after all: `lifespan`.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.util import Finalize
from types import FrameType

FINALIZER_PRIORITY = 100
"""Before the finalizers of `multiprocessing` itself, which are at 10 and less."""

_registered: int | None = None


def at_exit(close: Callable[[], None]) -> None:
    """Call `close` when this process ends, once; a forked child registers for itself."""
    global _registered  # noqa: PLW0603 - the one place that holds it
    pid = os.getpid()
    if _registered == pid:
        return
    _registered = pid

    def close_here() -> None:
        # A child inherits the handler. There it would wait for threads that do not exist.
        if os.getpid() == pid:
            close()

    atexit.register(close_here)
    if multiprocessing.parent_process() is not None:
        Finalize(None, close_here, exitpriority=FINALIZER_PRIORITY)
    _end_on_sigterm()


def _end_on_sigterm() -> None:
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
