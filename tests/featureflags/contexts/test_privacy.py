"""What LaunchDarkly learns about people, and what it never learns: read from what was sent."""

from __future__ import annotations

import json
import logging
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from featureflags.contexts.attributes import Attribute, Privacy
from featureflags.contexts.building import with_extra
from featureflags.contexts.privacy import privacy_of
from featureflags.contexts.results import Degradation
from featureflags.evaluation import is_enabled, track, variation
from featureflags.evaluation.resolve import resolve
from featureflags.launchdarkly.client import client
from featureflags.segments.attribute_types import AttributeType
from tests.featureflags.contexts.sending import EMAIL, HERE, HOSTILE, METADATA, NAME, SECRET, sent
from tests.services.launchdarkly import LaunchDarklyServer
from users.models import User

NEVER_SENT = {
    EMAIL,
    NAME,
    SECRET,
    "198.51.100.7",
    "203.0.113.9",
    "2001:db8::5e47",
    "bio-sentinel",
    "free text",
    "b@sentinel.example",
    "c@sentinel.example",
    "192.0.2.77",
    "+49-phone-sentinel",
    "1990-sentinel",
    "DE-iban-sentinel",
    "street-sentinel",
    "52.5251337",
    "token-sentinel",
}

BADGE = Attribute(
    name="badge",
    type=AttributeType.STRING,
    label="Badge",
    value=lambda _snapshot, _now: SECRET,
    privacy=Privacy.WITHHELD,
)


def narrow(settings: Settings, *names: str) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "LAUNCHDARKLY_ATTRIBUTES": list(names)}


@pytest.mark.django_db
class TestEvents:
    def test_no_private_or_withheld_value_is_in_any_kind_of_event_or_log_line(
        self, launchdarkly: LaunchDarklyServer, ada: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            for name in ("ldclient", "ldclient.util", "featureflags"):
                caplog.set_level(logging.DEBUG, name)
            assert is_enabled("beta", ada)
            variation("beta", str(ada.pk), attributes={"email": "x@sentinel.example", "odd": {1}})
            track("bought", ada, data={"sum": 3}, metric_value=3.0)
            client().identify(resolve(ada).context)
            text = sent(launchdarkly)
        assert [event["kind"] for event in launchdarkly.diagnostics()] == ["diagnostic-init"]
        assert str(ada.pk) not in json.dumps(launchdarkly.diagnostics())
        kinds = {event["kind"] for event in launchdarkly.events()}
        assert kinds == {"index", "feature", "debug", "summary", "custom", "identify"}
        logged = "".join(caplog.messages) + caplog.text
        assert "paid-sentinel" in text, "metadata that is listed"
        assert "listed-sentinel" in text, "whatever its name"
        assert '"badged"' in text  # the segment whose rule tests a withheld attribute
        for value in {*NEVER_SENT, "x@sentinel.example"}:
            assert value not in text
            assert value not in logged
        assert str(ada.pk) not in logged

    def test_the_sdk_s_debug_lines_would_hold_users(
        self, launchdarkly: LaunchDarklyServer, ada: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Why our filter drops them: without it this line has the public attributes of a user."""
        caplog.set_level(logging.DEBUG, "ldclient.util")
        is_enabled("beta", ada)
        for each in logging.getLogger("ldclient.util").filters[:]:
            logging.getLogger("ldclient.util").removeFilter(each)
        sent(launchdarkly)
        assert "paid-sentinel" in caplog.text

    def test_segments_alone_are_enough_to_target(
        self, launchdarkly: LaunchDarklyServer, ada: User, settings: Settings
    ) -> None:
        narrow(settings, "segments")
        assert is_enabled("beta", ada)
        assert not is_enabled("beta", anonymous_key="visitor-1")
        sent(launchdarkly)
        contexts = [event["context"] for event in launchdarkly.events("index")]
        assert {
            "kind": "user",
            "key": str(ada.pk),
            "segments": ["badged", *OWN],
            "segment": dict.fromkeys(["badged", *OWN], True),
        } in [{**context, "segments": sorted(context["segments"])} for context in contexts]
        visitor = {"kind": "user", "key": "visitor-1", "anonymous": True}
        assert {**visitor, "segments": [], "segment": {}} in contexts

    def test_an_event_of_another_user_survives_every_odd_value(
        self, launchdarkly: LaunchDarklyServer, ada: User
    ) -> None:
        def odd_then_other(value: Any, number: int) -> None:
            variation("beta", ada, attributes={"odd": value}, default=value)
            track("odd", ada, data=value, metric_value=value)
            variation("beta", f"other-{number}")

        count = 0

        @hypothesis_settings(
            max_examples=150, deadline=None, suppress_health_check=list(HealthCheck)
        )
        @given(ANYTHING)
        def throw(value: Any) -> None:
            nonlocal count
            odd_then_other(value, count)
            count += 1

        throw()
        for value in HOSTILE:
            odd_then_other(value, count)
            count += 1
        text = sent(launchdarkly)
        assert count >= len(HOSTILE) + 100
        missing = [n for n in range(count) if f'"other-{n}"' not in text]
        assert missing == []


OWN = ["employee", "established_user", "user"]

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(10**300, 10**320),
    st.floats(),
    st.text(st.characters()),
    st.text(st.characters(categories=["Cs", "L"])),
    st.datetimes(),
    st.decimals(),
    st.uuids(),
    st.binary(),
    st.fractions(),
    st.complex_numbers(),
    st.sets(st.integers()),
    st.builds(object),
    st.integers(0, len(HOSTILE) - 1).map(lambda index: HOSTILE[index]),
)

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.django_db
class TestWhatIsSent:
    def test_withheld_attributes_are_in_segments_and_not_in_the_context(
        self, launchdarkly: LaunchDarklyServer, ada: User
    ) -> None:
        found = resolve(ada)
        assert "badged" in found.segments
        assert found.context.get("badge") is None
        named = {"custom_plan", "custom_vip_phone_ok"}
        assert set(found.withheld) == {"badge"} | {f"custom_{key}" for key in METADATA} - named
        assert set(found.context.private_attributes) == {"email", "name"}

    def test_a_list_names_what_may_be_sent_and_lets_metadata_through(
        self, launchdarkly: LaunchDarklyServer, ada: User, settings: Settings
    ) -> None:
        narrow(settings, "*", "custom_bio", "badge")
        found = resolve(ada).context
        assert found.get("custom_bio") == "bio-sentinel"
        assert found.get("custom_last_ip") is None
        assert found.get("badge") is None  # the catalogue wins
        narrow(settings, "custom_bio")
        only = resolve(ada).context.to_dict()
        assert set(only) == {"kind", "key", "custom_bio"}

    def test_show_context_names_what_is_withheld(
        self, launchdarkly: LaunchDarklyServer, ada: User
    ) -> None:
        out = StringIO()
        call_command("show_context", EMAIL, stdout=out)
        assert "Not sent, usable in segments: badge, custom_answer," in out.getvalue()
        assert SECRET not in out.getvalue()
        out = StringIO()
        call_command("show_context", EMAIL, "--json", stdout=out)
        assert "custom_last_ip" in json.loads(out.getvalue())["withheld_attributes"]

    def test_an_empty_list_leaves_the_key(
        self, launchdarkly: LaunchDarklyServer, settings: Settings, ada: User
    ) -> None:
        narrow(settings)
        assert set(resolve(ada).context.to_dict()) == {"kind", "key"}
        visitor = resolve(None, anonymous_key="v").context.to_dict()
        assert visitor == {"kind": "user", "key": "v", "anonymous": True}

    def test_the_list_holds_for_extra_attributes_too(self, settings: Settings) -> None:
        narrow(settings, "segments", "cart")
        found = with_extra(resolve("somebody"), {"cart": 1, "email": "x@y.z", "page": "/"})
        assert found.context.to_dict() == {"kind": "user", "key": "somebody", "cart": 1}
        assert found.withheld == ("email", "page")
        assert found.degraded == (Degradation.NO_SUCH_USER,), "nothing was dropped"


@pytest.mark.parametrize(
    ("listed", "name", "expected"),
    [
        (["*"], "custom_plan", Privacy.WITHHELD),
        (["*"], "custom_anything", Privacy.WITHHELD),
        (["*", "custom_plan"], "custom_plan", Privacy.PUBLIC),
        (["*", "custom_plan"], "custom_planet", Privacy.WITHHELD),
        (["custom_plan"], "custom_plan", Privacy.PUBLIC),
        (["custom_plan"], "role", Privacy.WITHHELD),
        (["*", "custom_email"], "custom_email", Privacy.PRIVATE),
        (["*"], "cart_ip", Privacy.PUBLIC),
        (["*"], "email", Privacy.PRIVATE),
        (["*", "badge"], "badge", Privacy.WITHHELD),
        (["segments"], "segment", Privacy.PUBLIC),
        ([], "key", Privacy.PUBLIC),
    ],
)
def test_what_a_list_lets_through(
    settings: Settings, listed: list[str], name: str, expected: Privacy
) -> None:
    settings.FEATUREFLAGS = {
        **settings.FEATUREFLAGS,
        "LAUNCHDARKLY_ATTRIBUTES": listed,
        "PRIVATE_ATTRIBUTES": ["email", "name", "custom_email"],
        "ATTRIBUTES": [f"{HERE}.BADGE"],
    }
    assert privacy_of(name) is expected
    assert privacy_of(name) is expected, "from memory"
