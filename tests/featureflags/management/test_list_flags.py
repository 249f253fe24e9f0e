"""`list_flags`: what LaunchDarkly serves, for people and for machines."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django.fixtures import Settings

from tests.conftest import FlagFile
from tests.featureflags.management.conftest import Call
from tests.services.flag_json import (
    boolean_flag,
    clause,
    prerequisite,
    segment,
    segment_rule,
    string_flag,
)
from tests.services.launchdarkly import LaunchDarklyServer

pytestmark = pytest.mark.django_db

CHECKOUT = boolean_flag(
    "new-checkout", rules=[segment_rule("employee")], prerequisites=[prerequisite("gate")]
)


def test_in_words(call: Call, flag_file: FlagFile) -> None:
    flag_file(CHECKOUT, string_flag("gate", on=False))
    assert call("list_flags").out.splitlines() == [
        'gate: off, string, "control" | "treatment"  (not declared)',
        '  everybody else → "control"',
        '  while it is off → "control"',
        "new-checkout: on, boolean, true | false",
        '  needs the flag “gate”, which is off, to serve "control", else false',
        '  rule 1: segments is any of "employee" → true',
        "  everybody else → false",
        "  while it is off → false",
    ]


def test_json_with_launchdarkly_s_own_segments(call: Call, settings: Settings) -> None:
    with LaunchDarklyServer(CHECKOUT) as server:
        server.set_segment(segment("vip", included=["a"], rules=[[clause("role", "in", "x")]]))
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "SDK_KEY": server.sdk_key,
            "BASE_URI": server.url,
            "STREAM_URI": server.url,
            "EVENTS_URI": server.url,
            "SEND_EVENTS": True,
        }
        document = json.loads(call("list_flags", "--json").out)
        text = call("list_flags").out
    (found,) = document["flags"]
    assert (found["key"], found["type"], found["on"], found["declared"]) == (
        "new-checkout",
        "boolean",
        True,
        True,
    )
    assert found["rules"][0]["words"] == 'segments is any of "employee"'
    assert found["rules"][0]["serving"]["words"] == "true"
    assert found["django_segments"] == ["employee"]
    (vip,) = document["segments"]
    assert (vip["key"], vip["included"], vip["rules"][0]["words"]) == (
        "vip",
        1,
        'role is any of "x"',
    )
    assert "LaunchDarkly's segment vip: 1 included, 0 excluded" in text
    assert server.events() == []


def test_without_any_flags_it_prints_a_message_and_exits_with_2(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SOURCE": "offline"}
    with pytest.raises(CommandError, match="has not sent") as caught:
        call_command("list_flags")
    assert caught.value.returncode == 2
