"""A Guidon as in production on loopback: gunicorn, PostgreSQL, two Redis, a LaunchDarkly, accounts.

The settings are production's, so that what is measured is what is deployed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.postgres import PostgresServer, postgres_server
from tests.services.processes import WebProcess, manage, running_server
from tests.services.redis import RedisServer, redis_server
from tests.services.variables import Account, accounts_of, of_launchdarkly

WORKERS = 2
THREADS = 4
FLAG = "new-checkout"
"""True for an employee, False for anybody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A web server, two accounts, `ada` (an employee) and `root`, and a `program` that evaluates flags."""

    web: WebProcess
    launchdarkly: LaunchDarklyServer
    accounts: dict[str, Account]
    env: dict[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedSite(Site):
    """One with the servers of production."""

    postgres: PostgresServer
    cache: RedisServer
    broker: RedisServer


@contextmanager
def running_site() -> Iterator[ServedSite]:
    """The whole of it; ended with the context."""
    with ExitStack() as stack:
        folder = scratch_folder(stack)
        postgres = stack.enter_context(postgres_server())
        cache = stack.enter_context(redis_server())
        broker = stack.enter_context(redis_server())
        service = stack.enter_context(launchdarkly())
        env = production_env(folder, postgres, cache, broker, service)
        prepare(env)
        accounts = accounts_of(env)
        web = serve(stack, env)
        yield ServedSite(
            web=web,
            postgres=postgres,
            cache=cache,
            broker=broker,
            launchdarkly=service,
            accounts=accounts,
            env=env,
        )


def scratch_folder(stack: ExitStack) -> Path:
    """A folder that is removed with the stack."""
    folder = Path(tempfile.mkdtemp(prefix="guidon-chaos-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def launchdarkly() -> LaunchDarklyServer:
    """The flags that the load asks for."""
    return LaunchDarklyServer(
        boolean_flag(FLAG, rules=[segment_rule("employee")]),
        boolean_flag("internal-tools", rules=[segment_rule("employee")]),
    )


def prepare(env: dict[str, str | None]) -> None:
    """Tables and static files."""
    for command in (["migrate"], ["collectstatic", "--noinput"]):
        done = manage(env, *command, "--verbosity=0")
        if done.returncode:
            raise RuntimeError(done.stderr)


def serve(stack: ExitStack, env: dict[str, str | None]) -> WebProcess:
    """gunicorn, as it is deployed."""
    options = (
        # As it is deployed, without a line for each request: those of the outage are counted.
        *("--config=config/gunicorn.py", "--access-logfile=/dev/null"),
        *(f"--workers={WORKERS}", f"--threads={THREADS}", "--timeout=30"),
    )
    web = running_server(env, server="gunicorn", options=options, path="/healthz")
    return stack.enter_context(web)


def production_env(
    folder: Path,
    postgres: PostgresServer,
    cache: RedisServer,
    broker: RedisServer,
    service: LaunchDarklyServer,
) -> dict[str, str | None]:
    """Production's variables for these servers, without TLS."""
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "GUIDON_IGNORE_DOTENV": "1",
        "GUIDON_VAR_DIR": str(folder / "var"),
        "STATIC_ROOT": str(folder / "static"),
        # Few callers send all the load.
        "THROTTLE_KEY": "0",
        "THROTTLE_USER": "0",
        "THROTTLE_ADDRESS": "0",
        "SECRET_KEY": "a-secret-key-of-the-chaos-run-with-more-than-fifty-characters",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "DATABASE_URL": postgres.url,
        "REDIS_URL": cache.url,
        "CELERY_BROKER_URL": broker.url,
        "LAUNCHDARKLY_SPARE_URL": broker.url,
        **of_launchdarkly(service),
        "SECURE_SSL_REDIRECT": "false",
    }
