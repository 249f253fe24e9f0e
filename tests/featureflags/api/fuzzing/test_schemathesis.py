"""schemathesis, with all its checks and in sequences, as each caller: no 5xx, nothing undocumented.

`make test` asks each operation a few times, `make test-deep` many times and at random.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from featureflags.api import throttling
from featureflags.models import Scope
from tests.conftest import FlagFile
from tests.factories import SegmentMemberFactory, UserFactory, clause, rule, token_for
from tests.featureflags.api.test_matrix import TABLE
from tests.featureflags.api.using import use
from tests.profiles import DEEP
from tests.services.flag_json import boolean_flag
from tests.services.processes import run_python
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

CONFIGURATION: Final = Path(__file__).with_name("schemathesis.toml")
EXAMPLES: Final = 100 if DEEP else 2
SECONDS: Final = 1800 if DEEP else 300
MIGHTIEST: Final = "superuser"
THOROUGH: Final = {"anonymous", MIGHTIEST}
"""For the others the phase `coverage`, which tries the edges of each parameter, is left to the deep run."""

SUMMARY: Final = re.compile(r" +(Test cases|Seed|✅|❌|⏭)")
"""Lines of a report: `pytest -rP` shows how many cases there were."""

Headers = dict[str, str]


def session_of(user: User) -> Headers:
    client = Client()
    client.force_login(user)
    client.get("/admin/login/")
    cookies = {name: cookie.value for name, cookie in client.cookies.items()}
    token = "a" * 32
    cookies[django_settings.CSRF_COOKIE_NAME] = token
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {"Cookie": cookie, "X-CSRFToken": token}


def key_of(scope: Scope) -> Headers:
    owner = None if scope is Scope.EVALUATE else UserFactory.create(superuser=True)
    return {"Authorization": f"Bearer {token_for(owner, scope)}"}


def viewer() -> Headers:
    user = UserFactory.create(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return session_of(user)


CALLERS: Final[dict[str, Callable[[], Headers]]] = {
    "anonymous": dict,
    "user": lambda: session_of(UserFactory.create()),
    "evaluate": lambda: key_of(Scope.EVALUATE),
    "read": lambda: key_of(Scope.READ),
    "write": lambda: key_of(Scope.WRITE),
    "viewer": viewer,
    "superuser": lambda: session_of(UserFactory.create(superuser=True)),
}


@pytest.fixture
def site(flag_file: FlagFile, transactional_db: None, settings: Settings) -> None:
    """Rows of each table that the API shows, and no limit to the calls."""
    flag_file(
        boolean_flag("new-checkout") | {"clientSideAvailability": {"usingEnvironmentId": True}}
    )
    use(settings, THROTTLE_KEY=0, THROTTLE_USER=0, THROTTLE_ADDRESS=0, THROTTLE_WRONG_KEYS=0)
    throttling.forget_counts()
    member = SegmentMemberFactory.create()
    member.segment.rules = [rule(clause("custom_plan", "in", "pro"))]
    member.segment.save()


CLOSED: Final = [name for name, line in TABLE.items() if line["anonymous"] == 401]
"""Operations that answer 401 without a login, whatever is sent."""
NO_COVERAGE: Final = """
[[operations]]
include-operation-id = {names}
phases.coverage.enabled = false
"""


def configuration(folder: Path, caller: str) -> Path:
    """The same examples each time; at random in the deep run, whose output names the seed."""
    text = CONFIGURATION.read_text()
    if DEEP:
        assert "deterministic = true" in text
        text = text.replace("deterministic = true", "deterministic = false")
    elif caller == "anonymous":
        # The edges of parameters that nobody reads.
        text += NO_COVERAGE.format(names=json.dumps(CLOSED))
    found = folder / CONFIGURATION.name
    found.write_text(text)
    return found


QUICK: Final = {"anonymous", "evaluate", "write", MIGHTIEST}
"""Who asks in `make test`; the deep run has the others too, each of whom gets a part of what these get. What each
one may do is in `test_matrix`."""
ASKED: Final = [
    caller
    if caller == MIGHTIEST
    else pytest.param(caller, marks=pytest.mark.embedded_stack, id=caller)
    for caller in CALLERS
    if DEEP or caller in QUICK
]
"""Each database refuses other values, and who may do all asks it for all; the others get a part of these
answers on both."""


@pytest.mark.parametrize("caller", ASKED)
def test_no_5xx_and_nothing_undocumented(
    caller: str, live_server: LiveServer, site: None, tmp_path: Path
) -> None:
    phases = "examples,fuzzing,stateful"
    if DEEP or caller in THOROUGH:
        phases += ",coverage"
    sent = CALLERS[caller]()
    headers = [f"--header={name}: {value}" for name, value in sent.items()]
    # That check takes the caller's own credentials away, and a cookie that is a header stays.
    excluded = ["--exclude-checks=ignored_auth"] if "Cookie" in sent else []
    command = [
        *("-m", "schemathesis.cli", f"--config-file={configuration(tmp_path, caller)}"),
        *("run", f"{live_server.url}/api/v1/schema/?format=json", "--no-color", "--checks=all"),
        *(f"--phases={phases}", f"--max-examples={EXAMPLES}"),
        *("--continue-on-failure", "--warnings=off", *excluded, *headers),
    ]
    ended = run_python({}, *command, timeout=SECONDS, folder=tmp_path)
    print(caller, *(line.strip() for line in ended.stdout.splitlines() if SUMMARY.match(line)))
    assert ended.returncode == 0, f"{ended.stdout[-20_000:]}\n{ended.stderr}"
