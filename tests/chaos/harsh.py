"""Two more sites: one whose network, clock and name server can be spoilt, and the embedded default on a
small disk of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.site import (
    ServedSite,
    Site,
    launchdarkly,
    prepare,
    running_site,
    scratch_folder,
    serve,
)
from tests.services.guarded import free_port
from tests.services.processes import Piped
from tests.services.variables import accounts_of, of_launchdarkly

INSIDE = Path(__file__).with_name("inside")
NAME = "launchdarkly.guidon.test"
"""By which the site reaches LaunchDarkly."""
DISK_MIB = 12


def may_mount() -> bool:
    """Whether this process may mount a disk: root, with that capability."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    status = Path("/proc/self/status").read_text()
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    return bool(effective >> 21 & 1)  # CAP_SYS_ADMIN


class Network:
    """The process of `tests.chaos.network`; a context manager."""

    def __init__(self, pairs: dict[int, int]) -> None:
        words = [f"{port}:{target}" for port, target in pairs.items()]
        self._process = Piped({}, "-m", "tests.chaos.network", *words)
        self._expect("ready")

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end()

    def order(self, line: str) -> None:
        """Have it done."""
        self._process.write_line(line)
        self._expect("done")

    def _expect(self, answer: str) -> None:
        line = self._process.read_line()
        if line != f"{answer}\n":
            raise RuntimeError(f"the network answered {line!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HarshSite(ServedSite):
    network: Network
    clock: Path
    resolver_gone: Path
    """While it exists, no name is found."""

    def set_clock(self, offset: str) -> None:
        """Move the web server's clock by so many seconds, such as `+3600`."""
        self.clock.write_text(offset)


@contextmanager
def harsh_site() -> Iterator[HarshSite]:
    """Production's servers behind a network, a clock and a name server of our own."""
    with running_site() as served, harsh_beside(served) as site:
        yield site


@contextmanager
def harsh_beside(served: ServedSite) -> Iterator[HarshSite]:
    """Another web server for the servers of this site, behind a network, a clock and a name server of our own."""
    with ExitStack() as stack:
        folder = scratch_folder(stack)
        ports = {free_port(): served.postgres.port, free_port(): served.cache.port}
        network = stack.enter_context(Network(ports))
        clock, gone = folder / "clock", folder / "no-names"
        clock.write_text("+0")
        env = dict(served.env)
        for port, target in ports.items():
            for name in ("DATABASE_URL", "REDIS_URL"):
                env[name] = str(env[name]).replace(f":{target}/", f":{port}/")
        for name in ("BASE", "STREAM", "EVENTS"):
            env[f"LAUNCHDARKLY_{name}_URI"] = served.launchdarkly.url.replace("127.0.0.1", NAME)
        env |= {
            "PYTHONPATH": str(INSIDE),
            "GUIDON_CHAOS_NAME": NAME,
            "GUIDON_CHAOS_RESOLVER": str(gone),
            "GUIDON_CHAOS_CLOCK": str(clock),
        }
        yield HarshSite(
            web=serve(stack, env),
            postgres=served.postgres,
            cache=served.cache,
            broker=served.broker,
            launchdarkly=served.launchdarkly,
            accounts=served.accounts,
            env=env,
            network=network,
            clock=clock,
            resolver_gone=gone,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSite(Site):
    """SQLite and files, on a disk of their own."""

    disk: Path


@contextmanager
def embedded_site() -> Iterator[EmbeddedSite]:
    """The embedded default behind gunicorn, with flags from a LaunchDarkly."""
    with ExitStack() as stack:
        folder = scratch_folder(stack)
        disk = folder / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(disk)]
        subprocess.run(mount, check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=False)
        service = stack.enter_context(launchdarkly())
        env: dict[str, str | None] = {
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
            "DEBUG": "false",
            "GUIDON_IGNORE_DOTENV": "1",
            "GUIDON_VAR_DIR": str(disk),
            "TMPDIR": str(disk),
            "STATIC_ROOT": str(folder / "static"),
            **dict.fromkeys(("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")),
            **dict.fromkeys(("THROTTLE_KEY", "THROTTLE_USER", "THROTTLE_ADDRESS"), "0"),
            **of_launchdarkly(service),
        }
        prepare(env)
        accounts = accounts_of(env)
        web = serve(stack, env)
        yield EmbeddedSite(
            web=web,
            launchdarkly=service,
            accounts=accounts,
            env=env,
            disk=disk,
        )
