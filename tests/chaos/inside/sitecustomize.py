"""A resolver that can be taken away, and a `sleep` that a moved clock does not break: Python imports this
module when it starts, if its folder is on the path.

The name in GUIDON_CHAOS_NAME leads to loopback. While the file of GUIDON_CHAOS_RESOLVER exists no name server answers: a look-up of
any name takes its time and fails, as the C library's does.
"""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path
from typing import Any

NAME = os.environ["GUIDON_CHAOS_NAME"]
SECONDS = 5.0
"""The C library's own time-out for one try."""

_gone = Path(os.environ["GUIDON_CHAOS_RESOLVER"])
_resolve = socket.getaddrinfo


def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    """As `socket.getaddrinfo`."""
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or not name.strip("0123456789.") or name == "localhost":
        return _resolve(host, *arguments, **options)
    if _gone.exists():
        time.sleep(SECONDS)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return _resolve("127.0.0.1" if name == NAME else host, *arguments, **options)


socket.getaddrinfo = getaddrinfo


def sleep(seconds: float) -> None:
    """As `time.sleep`, which fails under libfaketime 0.9.10: it breaks `clock_nanosleep`."""
    select.select([], [], [], seconds)


if "faketime" in os.environ.get("LD_PRELOAD", ""):
    time.sleep = sleep
