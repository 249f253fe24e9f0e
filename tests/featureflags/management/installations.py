"""Two installations with databases of their own, and their servers on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.processes import WebProcess, manage, running_server
from tests.services.shell import Shell, running_shell
from tests.services.tables import make_tables

SETUP = """
from featureflags.models import ApiKey, Segment
from users.models import User
root = User.objects.create_superuser("root@example.com", "x", name="Root")
for number in range(40):
    User.objects.create_user(f"u{number}@example.com", metadata={"plan": "pro" if number < 5 else "free"})
key = ApiKey(name="the other", scope="write", owner=root)
token = key.issue()
key.save()
print("TOKEN " + token)
"""

RULES = [{"clauses": [{"attribute": "custom_plan", "op": "in", "values": ["pro"]}]}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One installation."""

    env: Mapping[str, str | None]
    web: WebProcess
    token: str
    shell: Shell
    """Runs programs in the site's own process."""

    def run(self, *arguments: str, **env: str) -> Any:
        return manage({**self.env, **env}, *arguments)

    def write(self, key: str, **fields: Any) -> None:
        self.shell(
            "import json; from featureflags.models import Segment\n"
            f"given = json.loads({json.dumps(json.dumps(fields))})\n"
            f"row = Segment.objects.filter(key={key!r}).first() or Segment(key={key!r}, name={key!r})\n"
            "for name, value in given.items(): setattr(row, name, value)\n"
            "row.save()"
        )

    def segment(self, key: str) -> dict[str, Any]:
        return json.loads(  # type: ignore[no-any-return]  # an object
            self.shell(
                "import json; from featureflags.models import Segment\n"
                f"row = Segment.objects.filter(key={key!r}).first()\n"
                "from featureflags.segments.export import dump_rules\n"
                "from featureflags.segments.parsing import load_rules\n"
                "shown = {} if row is None else {n: getattr(row, n) for n in ('name', 'tags', 'is_active')}\n"
                "if row: shown['rules'] = dump_rules(load_rules(row.rules, row.kind)[0])\n"
                "if row: shown['members'] = sorted([m.user.email, m.kind] for m in row.members.all())\n"
                "if row: shown['owner'] = row.owner and row.owner.email\n"
                "print('ROW ' + json.dumps(shown))"
            ).partition("ROW ")[2]
        )

    def include(self, key: str, *emails: str) -> None:
        self.shell(
            "from featureflags.models import Segment, SegmentMember; from users.models import User\n"
            f"row = Segment.objects.get(key={key!r})\n"
            f"for email in {emails!r}: SegmentMember.objects.create(segment=row, "
            "user=User.objects.get_or_create(email=email)[0])"
        )


@contextmanager
def site(folder: Path, name: str, **env: str) -> Iterator[Site]:
    """A migrated database with users, its shell, and its server."""
    flags = folder / f"{name}.json"
    flag = boolean_flag("new-checkout", rules=[segment_rule("used")])
    flags.write_text(json.dumps({"flags": {"new-checkout": flag}}))
    known: dict[str, str | None] = {
        "DATABASE_URL": f"sqlite:///{folder}/{name}.sqlite3",
        "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        "GUIDON_VAR_DIR": str(folder / name),
        "REDIS_URL": None,
        "LAUNCHDARKLY_FLAG_FILE": str(flags),
        **env,
    }
    make_tables(folder / f"{name}.sqlite3")
    with running_shell(known) as shell, running_server(known, path="/healthz") as web:
        token = shell(SETUP).partition("TOKEN ")[2].split()[0]
        yield Site(env=known, web=web, token=token, shell=shell)


COMMAND = """
import io, json
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings
arguments, known = json.loads({given!r})
written, code, said = io.StringIO(), 0, ""
with override_settings(FEATUREFLAGS={{**settings.FEATUREFLAGS, **known}}):
    try:
        call_command("promote_segments", "staging", *arguments, stdout=written, stderr=written)
    except CommandError as error:
        code, said = error.returncode, str(error)
print(json.dumps([code, written.getvalue(), said]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """As `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def promote(sites: dict[str, Site], *arguments: str, **known: Any) -> Ended:
    """From the one called `here`, which knows the other as `staging`, in the shell of `here`, which has started
    already. `known`: other values of settings."""
    ended = sites["here"].shell(
        COMMAND.format(given=json.dumps([arguments, {**installations(sites), **known}]))
    )
    code, stdout, stderr = json.loads(ended)
    return Ended(returncode=code, stdout=stdout, stderr=stderr)


def installations(sites: dict[str, Site]) -> dict[str, Any]:
    """The settings by which one knows the other."""
    there = sites["there"]
    address = f"staging {there.web.url}/api/v1 {there.token}"
    return {"INSTALLATIONS": [address], "WEBHOOK_PRIVATE_ADDRESSES": True}


def segment_match(key: str) -> dict[str, Any]:
    return {"clauses": [{"attribute": "", "op": "segmentMatch", "values": [key]}]}
