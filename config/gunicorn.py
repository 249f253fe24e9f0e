"""gunicorn's settings: `gunicorn --config config/gunicorn.py config.wsgi:application`.

On SIGHUP gunicorn starts new workers and ends the old ones at once, before the new ones have loaded
the application: for seconds nobody answers. Here the old ones end when as many new ones are ready.
"""

from __future__ import annotations

import os
import select
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from prometheus_client.multiprocess import mark_process_dead

bind = os.environ.get("BIND") or "0.0.0.0:8000"
workers = int(os.environ.get("WEB_CONCURRENCY") or 3)
threads = int(os.environ.get("WEB_THREADS") or 4)
timeout = 30
"""Seconds without a sign of life. With threads it is for a worker, not for a request: an export may take
longer, and a worker that is slow to reach a server must not be ended for that."""
graceful_timeout = 30
"""Seconds for the requests under way when a worker ends; `stop_grace_period` in compose.yaml is longer."""
accesslog = "-"
"""Its lines are those of `config.server_log`, which the application puts into the worker's log."""
_memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - what lies there is of this process alone
worker_tmp_dir = _memory
"""Its heartbeats."""
# It lies in the home folder, which is read-only in the container, and nobody uses it.
control_socket_disable = True

# All workers write their figures here, and whichever is asked for /metrics answers for all. Set before
# the application is imported. In memory: the files are mapped, and on a disk that is full the kernel would
# end each worker that writes to one (SIGBUS).
_prefix = f"guidon-metrics-{os.getpid()}-"
_given = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")).name
# A master that takes over from another one (SIGUSR2) inherits the folder of that one.
if not _given or (_given.startswith("guidon-metrics-") and not _given.startswith(_prefix)):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=_prefix, dir=_memory)

READY_SECONDS: Final = 60.0
"""New workers that are not ready by then are as they are: the old ones end."""
LOOK_SECONDS: Final = 0.5
"""How often a reload looks whether there was another one."""

_ready: tuple[int, int] | None = None
"""A pipe: each worker of the last reload writes a byte once it has loaded the application."""


def on_reload(server: Any) -> None:
    """Keep the old workers while the new ones load; those of a reload that is under way too."""
    global _ready  # noqa: PLW0603 - the workers inherit it
    pipe = _ready = os.pipe()
    wanted = server.num_workers
    server.num_workers = len(server.WORKERS) + wanted
    threading.Thread(target=_end_the_old, args=(server, wanted, pipe), daemon=True).start()


def post_worker_init(_worker: Any) -> None:
    """In a worker that has loaded the application."""
    if _ready is not None:
        # A later reload has closed the other end: that one counts its own workers.
        with suppress(OSError):
            os.write(_ready[1], b"1")


def on_exit(_server: Any) -> None:
    """In the master, at its end: the folder that it has made goes."""
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    if folder.name.startswith(f"guidon-metrics-{os.getpid()}-"):
        shutil.rmtree(folder, ignore_errors=True)


def child_exit(_server: Any, worker: Any) -> None:
    """In the master: what the worker counted stays, what it was ends with it."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # of prometheus_client


def _end_the_old(server: Any, wanted: int, pipe: tuple[int, int]) -> None:
    """In the master: once `wanted` workers are ready, the oldest of all end. After a later reload they
    are left to that one, whose workers may not be ready yet."""
    global _ready  # noqa: PLW0603 - as above
    until, ready = time.monotonic() + READY_SECONDS, 0
    while ready < wanted and _ready is pipe and (left := until - time.monotonic()) > 0:
        if select.select([pipe[0]], [], [], min(left, LOOK_SECONDS))[0]:
            ready += len(os.read(pipe[0], wanted))
    if _ready is pipe:
        _ready = None
        server.num_workers = wanted
        server.manage_workers()
    for end in pipe:
        os.close(end)
