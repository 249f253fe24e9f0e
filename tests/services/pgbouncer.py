"""A PgBouncer in front of the test's PostgreSQL, from the Debian package `pgbouncer`."""

from __future__ import annotations

import shutil
import signal
from typing import Literal
from urllib.parse import urlsplit

import psycopg

from tests.services.guarded import HOST, GuardedServer
from tests.services.postgres import unprivileged_account

PROBE_SECONDS = 10
PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
"""None: it is not installed (Debian: apt-get install pgbouncer)."""


class PgBouncer(GuardedServer):
    """Pools connections to one database, without passwords, `size` connections in all."""

    name = "pgbouncer"
    stop_signal = signal.SIGINT

    def __init__(
        self, database_url: str, mode: Literal["session", "transaction"], size: int = 2
    ) -> None:
        self._server, self._mode, self._size = urlsplit(database_url), mode, size
        self.account = unprivileged_account()
        super().__init__()

    @property
    def url(self) -> str:
        return f"postgresql://{self._server.username}@{HOST}:{self.port}{self._server.path}"

    def command(self) -> list[str]:
        return [str(PROGRAM), str(self.directory / "pgbouncer.ini")]

    def prepare(self) -> None:
        server = self._server
        (self.directory / "users.txt").write_text(f'"{server.username}" ""\n')
        (self.directory / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"* = host={server.hostname} port={server.port} user={server.username}\n"
            "[pgbouncer]\n"
            f"listen_addr = {HOST}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self.directory / 'users.txt'}\n"
            f"pool_mode = {self._mode}\ndefault_pool_size = {self._size}\n"
        )
        self.directory.chmod(0o755)
        if self.account is not None:
            shutil.chown(self.directory, self.account.uid, self.account.gid)

    def is_ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=PROBE_SECONDS).close()
        except psycopg.OperationalError:
            return False
        return True
