"""A network between a site and its servers that delays what it carries, and cuts connections.

    python -m tests.chaos.network 20001:20002 20003:20004      # listens on the first of each pair
    slow 0.08 1.0     each chunk comes 0.08 s late in each direction; all connections are cut each second
    calm              as if it were not there

Reads its orders from its input, one a line, and answers `done`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

HOST = "127.0.0.1"
CHUNK = 64 * 1024


class Network:
    """Every connection through it, and how it treats them."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.cut_every = 0.0
        self._open: set[asyncio.StreamWriter] = set()

    async def listen(self, port: int, target: int) -> None:
        """Carry what comes to `port` to `target`."""

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                back, forth = await asyncio.open_connection(HOST, target)
            except OSError:
                writer.transport.abort()
                return
            self._open |= {writer, forth}
            await asyncio.gather(self._pump(reader, forth), self._pump(back, writer))
            self._open -= {writer, forth}

        await asyncio.start_server(carry, HOST, port)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def cut(self) -> None:
        """Cut all connections, again and again, while that is the order."""
        while True:
            await asyncio.sleep(self.cut_every or 0.1)
            if self.cut_every:
                for writer in list(self._open):
                    writer.transport.abort()

    def obey(self, line: str) -> None:
        """One order."""
        words = line.split()
        self.delay, self.cut_every = map(float, words[1:]) if words[0] == "slow" else (0.0, 0.0)


async def main(pairs: list[str]) -> None:
    network = Network()
    for pair in pairs:
        port, _, target = pair.partition(":")
        await network.listen(int(port), int(target))
    cutting = asyncio.ensure_future(network.cut())
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        network.obey(line)
        print("done", flush=True)
    cutting.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
