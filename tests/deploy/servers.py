"""Servers, people and segments for a deploy, and the web server and writer of a release beside them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from tests.chaos.site import production_env
from tests.deploy.people import NEW_FIELDS, OLD_FIELDS, VALUES, Crowd, Release
from tests.deploy.releases import next_release
from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.postgres import PostgresServer, postgres_server
from tests.services.processes import ROOT, Piped, manage, running_server
from tests.services.redis import redis_server

PEOPLE = 8
WRITER = str(Path(__file__).with_name("writer.py"))
GUNICORN = ("--config=config/gunicorn.py", "--workers=2", "--threads=4")

PATIENT = dict.fromkeys(
    ("FLAG_CHECK_DATABASE_SECONDS", "FLAG_CHECK_REDIS_SECONDS", "PAGE_REDIS_SECONDS"), "20"
)
"""A busy machine must not look like an old answer."""

CLAUSES = {
    "email_verified": ("email_verified", True),
    "role": ("role", "admin"),
    "team": ("groups", "team"),
    "country": ("country", "CH"),
}

SETUP = """
import json
from django.contrib.auth.models import Group
from featureflags.models import ApiKey
from users.models import User
Group.objects.create(name="team")
people = [
    User.objects.create_user(f"p{number}@example.com", name=f"P {number}", metadata={"plan": "pro"})
    for number in range(%d)
]
key = ApiKey(name="a program", scope="evaluate")
token = key.issue()
key.save()
print("MADE " + json.dumps([[str(user.pk) for user in people], token]))
"""

SEGMENTS = """
from featureflags.models import Segment
for key, attribute, value in %r:
    clause = {"attribute": attribute, "op": "in", "values": [value], "negate": False}
    segment = Segment(key="in-" + key.replace("_", "-"), name=key, rules=[{"clauses": [clause]}])
    segment.full_clean()
    segment.save()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What both releases share."""

    env: Mapping[str, str | None]
    postgres: PostgresServer
    next_folder: Path
    people: Sequence[str]
    token: str

    def manage(self, folder: Path, *arguments: str) -> str:
        """Run a command with a release's code; its output. Raises RuntimeError if it fails."""
        done = manage(self.env, *arguments, folder=folder)
        if done.returncode:
            raise RuntimeError(f"manage.py {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def add_segments(self, folder: Path, *fields: str) -> None:
        """One for each field, as a release's admin would."""
        wanted = [(field, *CLAUSES[field]) for field in fields]
        self.manage(folder, "shell", "--command", SEGMENTS % wanted)

    @contextmanager
    def release(self, name: str) -> Iterator[Release]:
        """`old` or `new`: its web server and its writer."""
        folder, fields = (ROOT, OLD_FIELDS) if name == "old" else (self.next_folder, NEW_FIELDS)
        web = running_server(
            self.env, server="gunicorn", options=GUNICORN, path="/healthz", folder=folder
        )
        with web, Piped(self.env, WRITER, folder=folder) as writer:
            if writer.read_line() != "ready\n":
                raise RuntimeError(f"the writer of {name} did not start")
            yield Release(name=name, fields=fields, web=web, writer=writer)

    def crowd(self) -> Crowd:
        """The people, who ask nobody yet."""
        return Crowd(self.people, self.token, self.postgres.url)

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """What both releases store, of every table that has no times of its own."""
        queries = {
            "users": "SELECT id, email, name, role, email_verified, metadata::text FROM users_user",
            "groups": "SELECT user_id, group_id FROM users_user_groups",
            "keys": "SELECT name, owner_id FROM featureflags_apikey",
            "segments": "SELECT key, name, rules::text FROM featureflags_segment",
            "history": "SELECT count(*) FROM featureflags_historyentry",
        }
        with psycopg.connect(self.postgres.url) as connection:
            return {
                name: sorted(connection.execute(query).fetchall(), key=repr)
                for name, query in queries.items()
            }


@contextmanager
def deployment() -> Iterator[Deployment]:
    """PostgreSQL, Redis, a LaunchDarkly and the code of the next release; migrated by the old one."""
    folder = Path(tempfile.mkdtemp(prefix="guidon-deploy-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = stack.enter_context(postgres_server())
        cache = stack.enter_context(redis_server())
        broker = stack.enter_context(redis_server())
        flags = [
            boolean_flag(field, rules=[segment_rule("in-" + field.replace("_", "-"))])
            for field in VALUES
        ]
        service = stack.enter_context(LaunchDarklyServer(*flags))
        env = {**production_env(folder, postgres, cache, broker, service), **PATIENT}
        made = Deployment(
            env=env,
            postgres=postgres,
            next_folder=next_release(folder / "next"),
            people=[],
            token="",
        )
        made.manage(ROOT, "migrate", "--verbosity=0")
        _, _, text = made.manage(ROOT, "shell", "--command", SETUP % PEOPLE).partition("MADE ")
        people, token = json.loads(text)
        made.add_segments(ROOT, *sorted(OLD_FIELDS))
        yield replace(made, people=people, token=token)
