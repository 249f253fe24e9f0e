"""The measuring process of `streams`, which starts it with servers of its own."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from featureflags.live import tickets  # noqa: E402
from featureflags.models import Segment  # noqa: E402
from tests.services.processes import WebProcess, running_server  # noqa: E402
from users.models import User  # noqa: E402

IDLE_SECONDS = 10.0
PATIENCE_SECONDS = 30.0
ROUNDS = 5


class Client:
    """One open stream, with the moments at which it heard of a change."""

    def __init__(self) -> None:
        self.heard: list[float] = []
        self.writer: asyncio.StreamWriter | None = None
        self.task: asyncio.Task[None] | None = None

    async def open(self, host: str, port: int, path: str) -> None:
        reader, self.writer = await asyncio.open_connection(host, port)
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        status = await reader.readline()
        assert b" 200 " in status, status
        self.task = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line.startswith(b"data: "):
                self.heard.append(time.monotonic())


def of_process(pid: int) -> tuple[float, float, int]:
    """Processor seconds, resident MiB, and threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    seconds = (int(fields[11]) + int(fields[12])) / 100
    return seconds, int(fields[21]) * 4096 / 2**20, int(fields[17])


def pid_of(server: WebProcess) -> int:
    """The server's process: of those with its port in their command line (a guard has it too) the largest."""
    wanted, found = f"--port={server.port}".encode(), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if wanted in words and b"uvicorn" in words:
                found.append(int(folder.name))
    return max(found, key=lambda pid: of_process(pid)[1])


async def measured(server: WebProcess, users: list[User]) -> dict[str, Any]:
    parts, pid = urlsplit(server.url), pid_of(server)
    assert parts.hostname is not None
    assert parts.port is not None
    clients = [Client() for _user in users]
    before = of_process(pid)
    began = time.monotonic()
    for start in range(0, len(users), 50):
        await asyncio.gather(
            *(
                client.open(parts.hostname, parts.port, path_of(user))
                for client, user in zip(
                    clients[start : start + 50], users[start : start + 50], strict=True
                )
            )
        )
    opened = time.monotonic() - began
    await heard(clients, began)
    await asyncio.sleep(2)
    full = of_process(pid)
    await asyncio.sleep(IDLE_SECONDS)
    idle = of_process(pid)

    def a_segment() -> None:
        Segment.objects.create(key=f"bench-{time.time_ns()}", name="Bench")

    def a_user() -> None:
        user = users[0]
        user.name = str(time.time_ns())
        user.save()

    all_of_them, one = [], []
    for _round in range(ROUNDS):
        all_of_them.append(await after(a_segment, clients))
        await asyncio.sleep(1)
        one.append(await after(a_user, clients[:1]))
        await asyncio.sleep(1)
    last = of_process(pid)
    return {
        "streams": len(users),
        "open_seconds": round(opened, 2),
        "kib_a_stream": round((full[1] - before[1]) * 1024 / len(users), 1),
        "threads_more": full[2] - before[2],
        "idle_cpu_percent": round((idle[0] - full[0]) / IDLE_SECONDS * 100, 1),
        "mib_at_the_end": round(last[1]),
        "segment_median": round(
            statistics.median(each for batch in all_of_them for each in batch), 3
        ),
        "segment_last": round(max(each for batch in all_of_them for each in batch), 3),
        "subject_median": round(statistics.median(each for batch in one for each in batch), 3),
        "subject_last": round(max(each for batch in one for each in batch), 3),
    }


def path_of(user: User) -> str:
    path = tickets.stream_path(who=str(user.pk), keys=[str(user.pk)])
    assert path is not None
    return path


async def after(write: Callable[[], None], clients: list[Client]) -> list[float]:
    """Seconds from the end of the write until each of them has heard."""
    began_writing = time.monotonic()
    await asyncio.to_thread(write)
    written = time.monotonic()
    moments = await heard(clients, began_writing)
    return [max(0.0, moment - written) for moment in moments]


async def heard(clients: list[Client], since: float) -> list[float]:
    """The first moment after `since` at which each has heard something."""
    ends = time.monotonic() + PATIENCE_SECONDS

    def first(client: Client) -> float | None:
        return next((moment for moment in client.heard if moment >= since), None)

    while any(first(client) is None for client in clients):
        assert time.monotonic() < ends, "a stream has heard nothing"
        await asyncio.sleep(0.01)
    return [moment for client in clients if (moment := first(client)) is not None]


async def bare(number: int) -> dict[str, Any]:
    """The same number of sockets of a server that writes one message to each, and nothing else."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writers.append(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients = [Client() for _index in range(number)]
    for client in clients:
        await client.open("127.0.0.1", port, "/")
    began = time.monotonic()
    for writer in writers:
        writer.write(b'data: {"type": "refetchEvaluation"}\n\n')
    moments = await heard(clients, began)
    for client in clients:
        if client.writer is not None:
            client.writer.close()
    server.close()
    return {"bare_last": round(max(moments) - began, 3)}


def main() -> None:
    number, file = int(sys.argv[1]), sys.argv[2]
    call_command("migrate", verbosity=0)
    tickets.serve()
    users = User.objects.bulk_create(
        [User(email=f"stream{index}@example.com") for index in range(number)]
    )
    with running_server({}, server="uvicorn", path="/healthz") as server:
        figures = {**asyncio.run(measured(server, users)), **asyncio.run(bare(number))}
    for name, figure in figures.items():
        print(f"{name:20} {figure}")
    if file:
        Path(file).write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
