"""`evaluate_flag` and `show_context`: correct in words and JSON, and without events."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from django.db import connection
from django.test import override_settings
from pytest_django.fixtures import Settings

from featureflags.evaluation import is_enabled
from featureflags.launchdarkly import client
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.featureflags.management.conftest import Call
from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.processes import manage
from tests.services.tables import make_tables
from users.models import User


@pytest.fixture
def ada(db: None) -> User:
    return UserFactory.create(
        email="ada@agpt.co", name="Ada", metadata={"plan": "pro", "role": "admin"}
    )


@pytest.fixture
def employees_only(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("employee", rule_id="staff")]))


@pytest.mark.usefixtures("employees_only")
def test_a_flag_in_words(call: Call, ada: User) -> None:
    ended = call("evaluate_flag", "new-checkout", "--user", "ADA@agpt.co")
    assert ended.error is None
    lines = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in ended.out.splitlines()[1:]}
    assert ended.out.startswith(f"new-checkout for ADA@agpt.co ({ada.pk})\n")
    assert lines["value"] == "true"
    assert lines["reason"] == "Rule 1 (staff) matched."
    assert lines["segments"] == "employee, established_user, user"
    assert lines["degraded"] == "no"


@pytest.mark.usefixtures("employees_only")
def test_a_flag_in_json_by_key(call: Call, ada: User) -> None:
    data = json.loads(call("evaluate_flag", "new-checkout", "--user", str(ada.pk), "--json").out)
    assert data["value"] is True
    assert data["reason"]["ruleId"] == "staff"
    assert data["user"] == str(ada.pk)
    assert data["segments"] == ["employee", "established_user", "user"]
    assert data["degraded"] == []


@pytest.mark.usefixtures("employees_only")
def test_a_degraded_answer_is_marked_and_fails_if_strict(call: Call, ada: User) -> None:
    output = call("evaluate_flag", "no-such-flag", "--user", ada.email)
    assert output.error is None
    assert "LaunchDarkly has no flag of this key." in output.out
    strict = call("evaluate_flag", "no-such-flag", "--user", ada.email, "--strict")
    assert strict.error == "The answer is degraded: flag_not_found."
    sure = call("evaluate_flag", "new-checkout", "--user", ada.email, "--strict")
    assert sure.error is None


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["nobody@example.com", str(uuid.UUID(int=1)), "nonsense"])
@pytest.mark.parametrize("command", [["evaluate_flag", "x", "--user"], ["show_context"]])
def test_an_unknown_user_is_an_error(call: Call, command: list[str], who: str) -> None:
    assert call(*command, who).error == f"There is no user {who!r}."


def test_an_unknown_user_is_exit_code_1(tmp_path: Path) -> None:
    env: dict[str, str | None] = {
        "GUIDON_VAR_DIR": str(tmp_path),
        "DATABASE_URL": None,
        "REDIS_URL": None,
    }
    make_tables(tmp_path / "db.sqlite3")
    ended = manage(env, "show_context", "nobody@example.com")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "CommandError: There is no user 'nobody@example.com'." in ended.stderr


def test_a_context_in_words_marks_what_is_private(call: Call, ada: User) -> None:
    out = call("show_context", ada.email).out
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line}
    assert rows["email"] == '"ada@agpt.co" (private)'
    assert rows["name"] == '"Ada" (private)'
    assert rows["email_domain"] == '"agpt.co"'
    assert rows["segments"] == '["employee", "established_user", "user"]'
    assert "It holds until " in out
    assert "Degraded" not in out


def test_a_context_in_json_is_what_launchdarkly_sees(call: Call, ada: User) -> None:
    data = json.loads(call("show_context", str(ada.pk), "--json").out)
    assert data["key"] == str(ada.pk)
    assert data["attributes"]["account_age_days"] == 365
    assert data["attributes"]["custom_role"] == "admin"
    assert data["private_attributes"] == ["email", "name"]
    assert data["segments"] == data["attributes"]["segments"]


@pytest.mark.django_db(transaction=True)
def test_looking_sends_no_event(call: Call, settings: Settings) -> None:
    ada = UserFactory.create(email="ada@agpt.co")
    with LaunchDarklyServer() as server:
        server.set_flag(boolean_flag("new-checkout", rules=[segment_rule("employee")]))
        changed = {
            "SDK_KEY": server.sdk_key,
            "BASE_URI": server.url,
            "STREAM_URI": server.url,
            "EVENTS_URI": server.url,
            "SEND_EVENTS": True,
        }
        with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, **changed}):
            assert "true" in call("evaluate_flag", "new-checkout", "--user", ada.email).out
            call("show_context", ada.email)
            client.close()
            assert server.events() == []
            assert is_enabled("new-checkout", ada)
            client.close()
            assert server.events("index")


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded_stack
@pytest.mark.usefixtures("employees_only")
def test_without_a_database_the_cache_still_knows_the_user(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = UserFactory.create(email="ada@agpt.co")
    call("warm_contexts", "--all")
    name = connection.settings_dict["NAME"]
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "NAME", "/nowhere/at/all.sqlite3")
    try:
        by_key = call("evaluate_flag", "new-checkout", "--user", str(ada.pk))
        by_email = call("evaluate_flag", "new-checkout", "--user", ada.email)
    finally:
        connection.close()
        monkeypatch.setitem(connection.settings_dict, "NAME", name)
    assert "true" in by_key.out
    assert "The user came from the cache." in by_key.out
    assert by_email.error is not None
    assert by_email.error.startswith("The database does not answer.")
