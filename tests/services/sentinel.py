"""A primary, a replica and a Sentinel that watches them; and servers that speak TLS alone."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import signal
import subprocess
from pathlib import Path

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.services.guarded import HOST, GuardedServer
from tests.services.postgres import PostgresServer, version_of
from tests.services.redis import PROBE_SECONDS, RedisServer, find_redis_server

PRIMARY = "mymaster"
DOWN_MILLISECONDS = 3000
"""After so long a silent primary is replaced."""


class ReplicaServer(RedisServer):
    """A Redis that follows another one."""

    def __init__(self, primary: RedisServer) -> None:
        self._primary = primary
        super().__init__()

    def command(self) -> list[str]:
        return [*super().command(), "--replicaof", HOST, str(self._primary.port)]


class Sentinel(GuardedServer):
    """One Sentinel, which is a majority by itself."""

    name = "sentinel"
    stop_signal = signal.SIGTERM

    def __init__(self, primary: RedisServer) -> None:
        self._primary = primary
        super().__init__()

    @property
    def url(self) -> str:
        return f"{HOST}:{self.port}"

    def command(self) -> list[str]:
        return [str(find_redis_server()), str(self.directory / "sentinel.conf"), "--sentinel"]

    def prepare(self) -> None:
        (self.directory / "sentinel.conf").write_text(
            f"port {self.port}\nbind {HOST}\ndir {self.directory}\n"
            f"sentinel monitor {PRIMARY} {HOST} {self._primary.port} 1\n"
            f"sentinel down-after-milliseconds {PRIMARY} {DOWN_MILLISECONDS}\n"
            f"sentinel failover-timeout {PRIMARY} 20000\n"
        )

    def is_ready(self) -> bool:
        """True once it knows the replica that may take over."""
        client = redis.Redis(host=HOST, port=self.port, socket_timeout=PROBE_SECONDS)
        try:
            return len(client.sentinel_slaves(PRIMARY)) == 1
        except redis.RedisError:
            return False
        finally:
            client.close()

    def primary_port(self) -> int:
        """Of the Redis that is the primary now."""
        with redis.Redis(host=HOST, port=self.port, socket_timeout=PROBE_SECONDS) as client:
            return int(client.sentinel_get_master_addr_by_name(PRIMARY)[1])


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A key and its certificate for loopback, which is its own authority: certificate, key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "guidon tests")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    private.chmod(0o600)
    return certificate, private


def redis_with_tls() -> Path | None:
    """A redis-server on the PATH that was built with TLS; None if there is none."""
    found = shutil.which("redis-server")
    if found is None:
        return None
    shown = subprocess.run(["ldd", found], capture_output=True, text=True, check=False).stdout
    return Path(found) if "libssl" in shown else None


class TLSRedisServer(RedisServer):
    """It has no port without TLS."""

    def prepare(self) -> None:
        self._binary = redis_with_tls() or self._binary
        self._certificate, self._key = make_certificate(self.directory)

    def database_url(self, number: int) -> str:
        return f"rediss://{HOST}:{self.port}/{number}?ssl_ca_certs={self._certificate}"

    def command(self) -> list[str]:
        port = ("--port", str(self.port))
        given = super().command()
        at = given.index(port[0])
        return [
            *given[:at],
            *("--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", str(self._certificate), "--tls-key-file", str(self._key)),
            *given[at + 2 :],
        ]


def postgres_with_tls() -> Path | None:
    """Debian's PostgreSQL, which was built with TLS; None if it is not installed."""
    return max(Path("/usr/lib/postgresql").glob("*/"), default=None)


class TLSPostgresServer(PostgresServer):
    """It takes connections with and without TLS; `url` insists on it, and on its certificate."""

    def prepare(self) -> None:
        self._install = postgres_with_tls() or self._install
        self._version = version_of(self._install)
        super().prepare()
        self._certificate, self._key = make_certificate(self.directory)
        if self.account is not None:
            for path in (self._certificate, self._key):
                shutil.chown(path, self.account.uid, self.account.gid)

    @property
    def url(self) -> str:
        return f"{super().url}?sslmode=verify-full&sslrootcert={self._certificate}"

    def command(self) -> list[str]:
        files = (f"--ssl_cert_file={self._certificate}", f"--ssl_key_file={self._key}")
        return [*super().command(), "--ssl=on", *files]
