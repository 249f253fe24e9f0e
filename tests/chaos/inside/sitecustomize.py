"""A resolver that can be taken away and a clock that can be moved: Python imports this module when it starts,
if its folder is on the path.

The name in GUIDON_CHAOS_NAME leads to loopback. While the file of GUIDON_CHAOS_RESOLVER exists no name server answers: a look-up of
any name takes its time and fails, as the C library's does.
"""

from __future__ import annotations

import os
import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

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


# The C library's clock cannot be moved for Python: libfaketime breaks the waits of its threads. So the
# clocks that the project reads are moved: `time.time`, `time.time_ns` and Django's `now`.
_clock_file = Path(os.environ["GUIDON_CHAOS_CLOCK"])
_time, _time_ns, _now = time.time, time.time_ns, timezone.now
_read_until, _offset = 0.0, 0


def offset() -> int:
    """By how many seconds the clock is moved: what the file says, read again twice a second."""
    global _read_until, _offset
    if time.monotonic() >= _read_until:
        _read_until, _offset = time.monotonic() + 0.5, int(_clock_file.read_text() or 0)
    return _offset


time.time = lambda: _time() + offset()
time.time_ns = lambda: _time_ns() + offset() * 1_000_000_000
timezone.now = lambda: _now() + timedelta(seconds=offset())
