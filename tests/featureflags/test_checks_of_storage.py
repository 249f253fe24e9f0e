"""Checks of what is stored and of where it goes: segments, caches, LaunchDarkly's REST API, the flag file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from pytest_django.fixtures import Settings

from featureflags import checks
from featureflags.models import Segment
from tests.factories import SegmentFactory, clause, rule
from tests.featureflags.checking import HERE, change
from tests.services.processes import manage


def test_what_may_be_sent(settings: Settings) -> None:
    def sent(*names: str) -> list[tuple[str, str]]:
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "LAUNCHDARKLY_ATTRIBUTES": list(names),
            "ATTRIBUTES": ["tests.featureflags.contexts.test_privacy.BADGE"],
        }
        return [(str(found.id), str(found.msg)) for found in checks.check_sent_attributes()]

    assert sent("*") == sent("segments", "email", "custom_anything", "anonymous_key") == []
    assert sent("*", "emial", "badge") == [
        (
            "featureflags.W012",
            "FEATUREFLAGS['LAUNCHDARKLY_ATTRIBUTES'] contains 'badge', which is withheld by the "
            "catalogue: the catalogue wins.",
        ),
        (
            "featureflags.W012",
            "FEATUREFLAGS['LAUNCHDARKLY_ATTRIBUTES'] contains 'emial', which is not in the catalogue.",
        ),
    ]
    assert (
        [code for code, _ in sent("email")] == [code for code, _ in sent()] == ["featureflags.W013"]
    )


COMPLETE = {"API_TOKEN": "api-1", "PROJECT": "default", "ENVIRONMENT": "test"}


@pytest.mark.parametrize("name", COMPLETE)
def test_w014_syncing_that_cannot_be(settings: Settings, name: str) -> None:
    change(settings, SYNC_SEGMENTS=True, **{**COMPLETE, name: ""})
    (message,) = checks.check_syncing()
    assert message.id == "featureflags.W014"
    assert str(message.msg).endswith(f"Not set: LAUNCHDARKLY_{name}.")
    change(settings, SYNC_SEGMENTS=False)
    assert checks.check_syncing() == []
    change(settings, SYNC_SEGMENTS=True, **COMPLETE)
    assert checks.check_syncing() == []


def test_w014_is_said_with_every_command(tmp_path: Path) -> None:
    env = {"LAUNCHDARKLY_SYNC_SEGMENTS": "true", "GUIDON_VAR_DIR": str(tmp_path)}
    unset = dict.fromkeys(
        ("LAUNCHDARKLY_API_TOKEN", "LAUNCHDARKLY_PROJECT", "LAUNCHDARKLY_ENVIRONMENT")
    )
    ended = manage({**env, **unset}, "check")
    assert "(featureflags.W014)" in ended.stderr
    assert "LAUNCHDARKLY_API_TOKEN, LAUNCHDARKLY_PROJECT" in ended.stderr


def test_e010_a_cache_that_does_not_exist(settings: Settings) -> None:
    change(settings, CACHE="nowhere")
    (message,) = checks.check_settings()
    assert message.id == "featureflags.E010"
    assert "featureflags" in str(message.hint)


@pytest.mark.django_db
def test_e011_a_stored_segment_that_no_longer_validates() -> None:
    assert checks.check_segments(databases=["default"]) == []
    segment = SegmentFactory.create(key="odd", rules=[rule(clause("role", "in", "user"))])
    rules = '[{"id": "1", "clauses": [{"attribute": "shoe_size", "op": "in", "values": [1]}]}]'
    with connection.cursor() as cursor:
        cursor.execute("UPDATE featureflags_segment SET rules = %s WHERE key = 'odd'", [rules])
    (message,) = checks.check_segments(databases=["default"])
    assert message.id == "featureflags.W011"
    assert "'odd'" in str(message.msg)
    assert "Rule 1, condition 1" in str(message.msg)
    assert checks.check_segments(databases=None) == []
    with pytest.raises(SystemCheckError, match=r"featureflags\.W011"):
        call_command("check", databases=["default"], fail_level="WARNING")
    Segment.objects.get(pk=segment.pk).delete()
    assert checks.check_segments(databases=["default"]) == []


SLIPPED: list[tuple[Any, str]] = [
    (None, "The rules must be a list"),
    ([rule(clause("role", "in", "user")), 5], "Rule 2: a rule must be an object"),
    ([rule(clause("role", "sounds like", "x"))], "Rule 1, condition 1: unknown operator"),
    ([rule(clause("role", "matches", "("))], 'Rule 1, condition 1: "(" is not a valid expression'),
    ([rule(clause("", "segmentMatch", "gone"))], "Rule 1, condition 1: there is no segment “gone”"),
    ([rule(clause("", "segmentMatch", "odd"))], "Rule 1, condition 1: these segments use each"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("rules", "problem"), SLIPPED)
def test_e011_whatever_slipped_past_validation_is_named(rules: Any, problem: str) -> None:
    SegmentFactory.create(key="odd")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE featureflags_segment SET rules = %s WHERE key = 'odd'", [json.dumps(rules)]
        )
    (message,) = checks.check_segments(databases=["default"])
    assert message.id == "featureflags.W011"
    assert f"The segment 'odd' no longer validates. {problem}" in str(message.msg)


@pytest.mark.django_db
def test_e011_an_attribute_that_left_the_catalogue(settings: Settings) -> None:
    change(settings, ATTRIBUTES=[f"{HERE}.SHOE_SIZE"])
    rules = [rule(clause("role", "in", "user"), clause("shoe_size", "lessThan", 40))]
    SegmentFactory.create(key="odd", rules=rules)
    assert checks.check_segments(databases=["default"]) == []
    change(settings, ATTRIBUTES=[])
    (message,) = checks.check_segments(databases=["default"])
    assert "'odd' no longer validates. Rule 1, condition 2: there is no" in str(message.msg)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "op", "value", "missing"),
    [
        ("OF_NO_COLUMN", "lessThan", 40, "'shoe_size'"),
        ("DAYS_OF_NO_COLUMN", "lessThan", 40, "'measured_at'"),
        ("OF_NO_RELATION", "in", "left", "'feet'"),
    ],
)
def test_e011_a_column_that_left_the_model(
    settings: Settings, name: str, op: str, value: object, missing: str
) -> None:
    change(settings, ATTRIBUTES=[f"{HERE}.{name}"])
    rules = [rule(clause("role", "in", "user"), clause("shoe_size", op, value, negate=True))]
    SegmentFactory.create(key="odd", rules=rules)
    (message,) = checks.check_segments(databases=["default"])
    assert message.id == "featureflags.W011"
    assert "'odd' no longer validates. Rule 1, condition 2: the SQL of" in str(message.msg)
    assert missing in str(message.msg)
    with pytest.raises(SystemCheckError, match=r"featureflags\.W011"):
        call_command("check", databases=["default"], fail_level="WARNING")


@pytest.mark.parametrize(
    "name", ["SPARE_URL", "DAEMON_URL", "BASE_URI", "STREAM_URI", "EVENTS_URI"]
)
def test_e015_an_address_that_cannot_be_right(settings: Settings, name: str) -> None:
    change(settings, **{name: "user:secret@localhost:6379"})
    (message,) = checks.check_addresses()
    assert message.id == "featureflags.E015"
    assert f"LAUNCHDARKLY_{name}" in str(message.msg)
    assert "secret" not in f"{message.msg} {message.hint}"
    right = "https://relay.example" if name.endswith("URI") else "rediss://localhost:6379/0"
    change(settings, **{name: right})
    assert checks.check_addresses() == []


@pytest.mark.parametrize("demo", ["", "config.demo"])
@pytest.mark.parametrize("variable", ["", "set"])
def test_w020_the_flag_file(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, demo: str, variable: str
) -> None:
    path = tmp_path / "flags.json"
    monkeypatch.setenv("LAUNCHDARKLY_FLAG_FILE", str(path) if variable else "")
    settings.FEATUREFLAGS = {
        **settings.FEATUREFLAGS,
        "SOURCE": "auto",
        "SDK_KEY": "",
        "FLAG_FILE": str(path),
        "DEMO": demo,
    }
    # The demo writes its file itself: a fresh checkout has none, which is right.
    expected = [] if demo and not variable else ["featureflags.W020"]
    found = checks.check_flag_file()
    assert [message.id for message in found] == expected
    assert all("LAUNCHDARKLY_FLAG_FILE" in str(message.msg) for message in found)
    path.write_text("{}")
    assert checks.check_flag_file() == []
