"""The shop of `tests/shop`, as it is once it has followed the page, in an environment with the wheel."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.services.environments import Environment, environment, wheel
from tests.services.flag_json import boolean_flag, clause, rule, segment_rule
from tests.services.postgres import PostgresServer, find_install, postgres_server
from tests.services.redis import redis_server
from tests.wheel import page

DATABASE = """
SELECT 'relation ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'migration ' || app || ' ' || name FROM django_migrations
UNION ALL SELECT 'permission ' || codename FROM auth_permission
UNION ALL SELECT 'group ' || name FROM auth_group
UNION ALL SELECT 'content type ' || app_label || '.' || model FROM django_content_type
"""

SETTINGS = """
from config.settings import *

FEATUREFLAGS = {**FEATUREFLAGS, "FLAG_FILE": str(BASE_DIR / "flags.json")}
"""


Ask = Callable[[str], Any]
"""What a function of `shop_program.py` of this name returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The shop after it has followed the page."""

    folder: Path
    installed: Environment
    env: dict[str, str]
    postgres: PostgresServer
    before: frozenset[str]
    """What its database held before."""

    def manage(self, *arguments: str) -> str:
        return self.run("manage.py", *arguments)

    @contextmanager
    def asking(self) -> Iterator[Ask]:
        """A process of the shop that answers until the end."""
        with subprocess.Popen(
            [str(self.installed.python), "shop_program.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.installed.variables(self.env),
        ) as process:

            def ask(what: str) -> Any:
                assert process.stdin is not None
                assert process.stdout is not None
                print(what, file=process.stdin, flush=True)
                line = process.stdout.readline()
                assert line, "It has ended; its errors are in the output of the test."
                return json.loads(line)

            try:
                yield ask
            finally:
                process.kill()

    def run(self, *arguments: str) -> str:
        ended = self.installed.run(*arguments, folder=self.folder, env=self.env)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def holds(self) -> frozenset[str]:
        with psycopg.connect(self.postgres.url) as connection:
            return frozenset(name for (name,) in connection.execute(DATABASE).fetchall())


def adopt(shop: Shop) -> None:
    page.apply(shop.folder)
    (shop.folder / "config" / "tested.py").write_text(SETTINGS)
    write_flags(shop, people="pro_of_large_company", companies="large_organization")
    shutil.copy(Path(__file__).with_name("shop_program.py"), shop.folder)
    assert "no issues" in shop.manage("check", "--fail-level=WARNING")
    shop.manage("migrate", "--verbosity=0")
    shop.manage("check", "--database=default")
    shop.run("shop_program.py", "write_segments")


def write_flags(shop: Shop, *, people: str, companies: str) -> None:
    """A flag for the people of one segment, and one for the companies of another, and their people."""
    in_segment = {**clause("segments", "in", companies), "contextKind": "organization"}
    flags = [
        boolean_flag("team-checkout", rules=[segment_rule(people)]),
        boolean_flag("seat-planner", rules=[rule(in_segment)]),
    ]
    document = {"flags": {flag["key"]: flag for flag in flags}}
    (shop.folder / "flags.json").write_text(json.dumps(document))


@contextmanager
def adopted_shop(home: Path) -> Iterator[Shop]:
    """The shop with its own servers, before and after it has followed the page, in this folder."""
    folder = home / "shop"
    shutil.copytree(page.SHOP, folder, ignore=shutil.ignore_patterns("__pycache__"))
    installed = environment(home / "venv", wheel(home / "dist"), extras=page.extras())
    with postgres_server() as postgres, redis_server() as redis:
        parts = psycopg.conninfo.conninfo_to_dict(postgres.url)
        env = {
            **{f"DB_{name.upper()}": str(parts.get(name, "")) for name in ("user", "password")},
            **{f"DB_{name.upper()}": str(parts[name]) for name in ("host", "port")},
            "DB_NAME": str(parts["dbname"]),
            "REDIS_URL": redis.url,
        }
        before = Shop(
            folder=folder, installed=installed, env=env, postgres=postgres, before=frozenset()
        )
        before.manage("migrate", "--verbosity=0")
        adopted = Shop(
            folder=folder,
            installed=installed,
            env={**env, "DJANGO_SETTINGS_MODULE": "config.tested"},
            postgres=postgres,
            before=before.holds(),
        )
        adopt(adopted)
        yield adopted


def psql(server: PostgresServer, statement: str) -> None:
    program = find_install() / "bin" / "psql"
    command = [str(program), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", server.url]
    subprocess.run([*command, "--command", statement], check=True, capture_output=True)
