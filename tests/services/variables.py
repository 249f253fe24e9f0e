"""The variables of Guidon's processes in tests, and the accounts that their load uses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.processes import manage

Variables = dict[str, str | None]
"""None: the variable is not set, whatever the environment of the tests has."""

ACCOUNTS = """
import json
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from featureflags.models import ApiKey
from users.models import User
sessions = import_module(settings.SESSION_ENGINE)
people = {}
for name in ("ada", "root"):
    user = User.objects.create_user(f"{name}@agpt.co", email_verified=True, is_staff=name == "root",
        is_superuser=name == "root")
    session = sessions.SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    key = ApiKey(name=name, scope="read", owner=user)
    people[name] = {"key": str(user.pk), "session": session.session_key, "token": key.issue()}
    key.save()
key = ApiKey(name="program", scope="evaluate")
people["program"] = {"key": "", "session": "", "token": key.issue()}
key.save()
print("ACCOUNTS " + json.dumps(people))
"""


def of_launchdarkly(server: LaunchDarklyServer) -> Variables:
    """What lets a process ask this server for its flags."""
    return {
        "LAUNCHDARKLY_SDK_KEY": server.sdk_key,
        "LAUNCHDARKLY_BASE_URI": server.url,
        "LAUNCHDARKLY_STREAM_URI": server.url,
        "LAUNCHDARKLY_EVENTS_URI": server.url,
    }


def of_embedded(server: LaunchDarklyServer, folder: Path | str, **more: str) -> Variables:
    """The embedded default, with its files in this folder, and the flags of this server."""
    return {
        "DATABASE_URL": None,
        "REDIS_URL": None,
        "CELERY_BROKER_URL": None,
        "GUIDON_IGNORE_DOTENV": "1",
        "GUIDON_VAR_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
        **of_launchdarkly(server),
        **more,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    key: str
    """Of the user; empty for the program."""
    session: str
    token: str


def accounts_of(env: Variables) -> dict[str, Account]:
    """`ada`, an employee, `root`, and a `program` that evaluates flags: each with a key, users with a session."""
    made = manage(env, "shell", "--command", ACCOUNTS)
    _, found, text = made.stdout.partition("ACCOUNTS ")
    if not found:
        raise RuntimeError(made.stderr)
    return {name: Account(**each) for name, each in json.loads(text).items()}
