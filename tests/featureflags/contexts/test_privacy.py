"""What LaunchDarkly learns about people, and what it never learns: read from what was sent."""

from __future__ import annotations

import datetime
import decimal
import json
import logging
import math
import uuid
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from django.utils.translation import gettext_lazy
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from featureflags.contexts.attributes import Attribute, Privacy
from featureflags.contexts.building import with_extra
from featureflags.contexts.privacy import privacy_of
from featureflags.contexts.results import Degradation
from featureflags.contexts.sendable import InvalidAttribute
from featureflags.evaluation import is_enabled, track, variation, variation_detail
from featureflags.evaluation.resolve import resolve
from featureflags.launchdarkly.client import client, close
from featureflags.segments.attribute_types import AttributeType
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag, segment_rule
from users.models import User

FAR_FUTURE = 99_999_999_999_999
"""Milliseconds: until then a flag sends debug events."""

EMAIL, NAME = "ada-sentinel@agpt.co", "Ada Sentinel"
SECRET = "withheld-sentinel"
METADATA = {
    "plan": "paid-sentinel",
    "last_ip": "198.51.100.7",
    "origin": "seen at 203.0.113.9",
    "v6": "2001:db8::5e47",
    "bio": "bio-sentinel",
    "answer": "free text is what a person wrote sentinel",
    "backup_email": "b@sentinel.example",
    "contact": "c@sentinel.example",
    "device": {"os": "linux", "seen": ["192.0.2.77"]},
    "phone": "+49-phone-sentinel",
    "birthday": "1990-sentinel",
    "iban": "DE-iban-sentinel",
    "street": "street-sentinel 5",
    "latitude": 52.5251337,
    "token": "token-sentinel",
    "vip_phone_ok": "listed-sentinel",
}
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
HERE = "tests.featureflags.contexts.test_privacy"


@pytest.fixture
def launchdarkly(settings: Settings) -> Iterator[LaunchDarklyServer]:
    beta = {
        **boolean_flag("beta", rules=[segment_rule("badged")], track_events=True),
        "debugEventsUntilDate": FAR_FUTURE,
    }
    with LaunchDarklyServer(beta) as server:
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "SDK_KEY": server.sdk_key,
            "BASE_URI": server.url,
            "STREAM_URI": server.url,
            "EVENTS_URI": server.url,
            "SEND_EVENTS": True,
            "RAISE_INVALID_ATTRIBUTES": False,
            "ATTRIBUTES": [f"{HERE}.BADGE"],
            "PRIVATE_ATTRIBUTES": ["email", "name"],
            "LAUNCHDARKLY_ATTRIBUTES": ["*", "custom_plan", "custom_vip_phone_ok"],
        }
        yield server


@pytest.fixture
def ada() -> User:
    SegmentFactory.create(key="badged", rules=[rule(clause("badge", "in", SECRET))])
    return UserFactory.create(email=EMAIL, name=NAME, metadata=dict(METADATA))


def narrow(settings: Settings, *names: str) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "LAUNCHDARKLY_ATTRIBUTES": list(names)}


def sent(server: LaunchDarklyServer) -> str:
    """Everything that was sent, after the client has delivered it."""
    close()
    posts = [*server.deliveries(), *server.deliveries("/diagnostic")]
    return "".join(json.dumps(d.events, ensure_ascii=False) + d.text for d in posts)


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


class Nasty:
    def __repr__(self) -> str:
        raise RuntimeError("no name")

    __str__ = __repr__


def _cyclic() -> list[Any]:
    cyclic: list[Any] = []
    cyclic.extend([cyclic, cyclic])
    return cyclic


def _wide() -> list[Any]:
    wide: list[Any] = []
    for _ in range(19):
        wide = [wide, wide]
    return wide


class Shout(str):
    __slots__ = ()


HOSTILE: list[Any] = [
    User(),
    User.objects.none(),
    gettext_lazy("user"),
    Nasty(),
    {"a": Nasty()},
    {Nasty(): 1},
    _cyclic(),
    _wide(),
    decimal.Decimal("NaN"),
    datetime.datetime.now(datetime.UTC),
    uuid.uuid4(),
    math.nan,
    -math.inf,
    10**400,
    "\ud800",
    {"\ud800": 1},
    Shout("x"),
    lambda: None,
    (n for n in range(3)),
    "x" * 100_000,
    list(range(100_000)),
    timezone.now,
    type,
    Ellipsis,
    memoryview(b"x"),
]
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
class TestOneValue:
    """A value that cannot be sent is an error that names it, or is left out and counted."""

    @pytest.mark.parametrize("value", HOSTILE, ids=lambda value: type(value).__name__)
    def test_in_development_it_raises(self, value: Any, flag_file: Any) -> None:
        with pytest.raises(InvalidAttribute, match="'cart'"):
            variation("beta", "somebody", attributes={"cart": value})

    def test_the_message_does_not_show_the_value(self, flag_file: Any) -> None:
        for value in [{5.25: "x"}, decimal.Decimal("5.25"), {"a": [5.25, Nasty()]}]:
            with pytest.raises(InvalidAttribute) as caught:
                variation("beta", "somebody", attributes={"cart": value})
            assert "5.25" not in str(caught.value)

    @pytest.mark.parametrize(
        ("data", "metric"), [(object(), None), (math.nan, None), (None, math.nan), (None, True)]
    )
    def test_so_do_what_is_tracked_and_its_number(
        self, data: Any, metric: Any, flag_file: Any
    ) -> None:
        with pytest.raises(InvalidAttribute, match=r"data|metric_value"):
            track("bought", "somebody", data=data, metric_value=metric)

    def test_a_default_that_is_not_json_is_still_returned(self, flag_file: Any) -> None:
        default: Any = decimal.Decimal(1)
        assert variation("missing", "somebody", default=default) is default

    def test_lists_are_copied_before_their_owner_changes_them(
        self, launchdarkly: LaunchDarklyServer, ada: User
    ) -> None:
        cart: list[Any] = [{"id": 1}]
        is_enabled("beta", "somebody", attributes={"cart": cart})
        ada.metadata["tags"] = tags = ["a"]
        is_enabled("beta", ada)
        cart[0]["id"] = object()
        tags.append(object())  # type: ignore[arg-type]  # as a careless caller would
        text = sent(launchdarkly)
        assert '"somebody"' in text
        assert str(ada.pk) in text


@pytest.mark.django_db
class TestSizes:
    @pytest.fixture(autouse=True)
    def small(self, settings: Settings, flag_file: Any) -> None:
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "MAX_ATTRIBUTE_BYTES": 200,
            "MAX_CONTEXT_BYTES": 600,
        }

    def test_of_one_attribute(self, settings: Settings) -> None:
        with pytest.raises(InvalidAttribute, match=r"'cart' takes 2\d\d bytes as JSON; 200 are"):
            variation("beta", "somebody", attributes={"cart": "é" * 100})
        variation("beta", "somebody", attributes={"cart": "é" * 90})

    def test_of_a_context_the_largest_go_first(self, settings: Settings) -> None:
        extra = {f"a{n}": "x" * (100 + n) for n in range(6)}
        with pytest.raises(InvalidAttribute, match="'a5' makes the context too large"):
            variation("beta", "somebody", attributes=extra)
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": False}
        detail = variation_detail("beta", "somebody", attributes=extra)
        assert Degradation.ATTRIBUTE_DROPPED in detail.degraded

    def test_segments_and_key_are_never_left_out(self, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": False}
        keys = [f"segment-with-a-rather-long-key-{n}" for n in range(30)]
        for key in keys:
            SegmentFactory.create(key=key, rules=[rule(clause("role", "in", "user"))])
        found = resolve(UserFactory.create())
        assert set(keys) <= set(found.context.get("segments"))
        assert found.context.get("email") is None
        assert Degradation.ATTRIBUTE_DROPPED in found.degraded


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
