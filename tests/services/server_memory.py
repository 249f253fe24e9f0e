"""The memory of a running server, which Linux tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.services.processes import WebProcess


def peak_memory(server: WebProcess) -> int:
    """The most memory that the server's process has had, in KiB. A guard has its command line too: the
    larger one counts."""
    return max(_peaks(server.port))


def _peaks(port: int) -> Iterator[int]:
    wanted = f"--port={port}".encode()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if wanted in (folder / "cmdline").read_bytes().split(b"\0"):
                    lines = (folder / "status").read_text().splitlines()
                    yield int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
            except (OSError, StopIteration):
                continue  # it has just ended
