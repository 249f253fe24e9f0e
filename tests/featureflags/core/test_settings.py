"""Every mistake in the settings is named by a check, stops nothing, and leaks nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.core.checks.registry import registry
from django.db.models import F
from pytest_django.fixtures import Settings

from config.settings import environment
from featureflags import checks
from featureflags.contexts.attributes import Attribute
from featureflags.contexts.results import Degradation
from featureflags.core.conf import (
    FeatureFlagsSettings,
    Source,
    app_settings,
    setting_problems,
    source_of,
)
from featureflags.evaluation import is_enabled, variation_detail
from featureflags.evaluation.resolve import resolve
from featureflags.segments.attribute_types import AttributeType
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.launchdarkly import boolean_flag
from tests.services.processes import manage

HERE = "tests.featureflags.core.test_settings"
PHONE = "555-0134"

TYPE, VALUE, NAME, KEY = (f"featureflags.E{number}" for number in ("016", "017", "018", "019"))

MISTAKES: list[tuple[str, Any, str]] = [
    ("PRIVATE_ATTRIBUTES", "custom_phone", TYPE),
    ("PRIVATE_ATTRIBUTES", None, TYPE),
    ("PRIVATE_ATTRIBUTES", {"custom_phone": True}, TYPE),
    ("PRIVATE_ATTRIBUTES", ["custom_phone", 5], TYPE),
    ("PRIVATE_ATTRIBUTES", [""], TYPE),
    ("PRIVATE_ATTRIBUTE", ["custom_phone"], NAME),
    ("PRIVAT_ATTRIBUTES", ["custom_phone"], NAME),
    ("LAUNCHDARKLY_ATTRIBUTES", "email", TYPE),
    ("LAUNCHDARKLY_ATTRIBUTES", 5, TYPE),
    ("ATTRIBUTES", "project.SIZE", TYPE),
    ("FLAGS", ["project.FLAGS"], TYPE),
    ("FLAGS", None, TYPE),
    ("CACHE", "", VALUE),
    ("CACHE", 5, TYPE),
    ("CACHE", "nowhere", "featureflags.E010"),
    ("SNAPSHOT_SECONDS", -1, VALUE),
    ("SNAPSHOT_SECONDS", "a day", TYPE),
    ("SNAPSHOT_SECONDS", "86400", TYPE),
    ("SNAPSHOT_SECONDS", 1.5, TYPE),
    ("SNAPSHOT_SECONDS", True, TYPE),
    ("SNAPSHOT_SECONDS", 10**40, VALUE),
    ("SNAPSHOT_SECOND", 5, NAME),
    ("STALE_SECONDS", -0.1, VALUE),
    ("STALE_SECONDS", float("nan"), VALUE),
    ("STALE_SECONDS", float("inf"), VALUE),
    ("STALE_SECONDS", None, TYPE),
    ("MARKER_SECONDS", 30, NAME),
    ("WARM_BATCH", 0, VALUE),
    ("WARM_RANGE", -5, VALUE),
    ("WARM_AT_ONCE", "four", TYPE),
    ("CONFIRM_PERCENT", 101, VALUE),
    ("CONFIRM_USERS", -1, VALUE),
    ("MAX_MEMBERS", 0, VALUE),
    ("MAX_CONTEXT_BYTES", 10, VALUE),
    ("RAISE_INVALID_ATTRIBUTES", "no", TYPE),
    ("SEGMENTS_AS", "tuple", VALUE),
    ("SDK_KEY", "mob-0000-sentinel", KEY),
    ("SDK_KEY", "api-0000-sentinel", KEY),
    ("SDK_KEY", " sdk-0000-sentinel", VALUE),
    ("SDK_KEY", b"sdk-0000", TYPE),
    ("API_TOKEN", "sdk-0000-sentinel", KEY),
    ("API_TOKEN", None, TYPE),
    ("SOURCE", "stream", VALUE),
    ("SOURCE", None, VALUE),
    ("SOURCES", "file", NAME),
    ("FLAG_FILE", None, TYPE),
    ("POLL_SECONDS", 10, VALUE),
    ("POLL_SECONDS", "30", TYPE),
    ("SEND_EVENTS", "nope", TYPE),
    ("SUMMARY_EVENTS_ONLY", 1, TYPE),
    ("SYNC_SEGMENTS", "yes", TYPE),
    ("TESTERS", "false", TYPE),
    ("METRICS_TOKEN", 5, TYPE),
    ("START_WAIT", -1, VALUE),
    ("VISITOR_COOKIE", "my cookie", VALUE),
    ("VISITOR_COOKIE", "", VALUE),
    ("VISITOR_COOKIE_DAYS", 0, VALUE),
    ("TESTER_COOKIE", "a;b", VALUE),
    ("SYNC_TAG", "", VALUE),
    ("SOMETHING_ELSE_ALTOGETHER", 1, NAME),
    ("", 1, NAME),
]


def run_checks() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for check in registry.get_checks():
        if check.__module__.startswith("featureflags.checks"):
            found += check(app_configs=None, databases=None)
    return found


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "value", "code"), MISTAKES)
def test_a_mistake_is_named_stops_nothing_and_leaks_nothing(
    settings: Settings, flag_file: FlagFile, name: str, value: Any, code: str
) -> None:
    flag_file(boolean_flag("beta"))
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, name: value}
    mine = [message for message in run_checks() if message.id == code]
    assert [repr(name) in str(message.msg) for message in mine] == [True]
    assert mine[0].hint
    assert "sentinel" not in f"{mine[0].msg} {mine[0].hint}"
    user = UserFactory.create(metadata={"phone": PHONE})
    assert is_enabled("beta", user) in {True, False}
    context = resolve(user).context
    if "PRIV" in name:
        assert PHONE not in str(context.to_dict())


@pytest.mark.django_db
@pytest.mark.parametrize("given", [None, [], "SDK_KEY=x", 5])
def test_the_whole_is_not_a_dict(settings: Settings, given: Any) -> None:
    settings.FEATUREFLAGS = given
    assert TYPE in [message.id for message in run_checks()]
    user = UserFactory.create(metadata={"phone": PHONE})
    assert variation_detail("beta", user).degraded
    assert resolve(user).context.to_dict() == {"kind": "user", "key": str(user.pk)}


def test_the_nearest_name_is_shown(settings: Settings) -> None:
    settings.FEATUREFLAGS = {"SNAPSHOT_SECOND": 5}
    (message,) = checks.check_settings()
    assert message.hint == "Did you mean 'SNAPSHOT_SECONDS'?"


def test_what_is_wrong_is_replaced_by_what_sends_least(settings: Settings) -> None:
    settings.FEATUREFLAGS = {"SDK_KEY": "mob-1", "SEND_EVENTS": "x", "SUMMARY_EVENTS_ONLY": "x"}
    given = app_settings()
    assert (given.sdk_key, given.send_events, given.summary_events_only) == ("", False, True)
    assert source_of(given) is Source.OFFLINE


def test_right_settings_are_kept(settings: Settings) -> None:
    settings.FEATUREFLAGS = {"PRIVATE_ATTRIBUTES": {"custom_phone"}, "poll_seconds": 45}
    assert checks.check_settings() == []
    assert app_settings().private_attributes == ("custom_phone",)
    assert app_settings().poll_seconds == 45
    settings.FEATUREFLAGS = {}
    assert app_settings() == FeatureFlagsSettings()


def test_w020_a_flag_file_that_does_not_exist(settings: Settings, flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))
    assert checks.check_flag_file() == []
    settings.FEATUREFLAGS = {
        **settings.FEATUREFLAGS,
        "DEMO": "",
        "FLAG_FILE": "/nowhere/flags.json",
    }
    (message,) = checks.check_flag_file()
    assert message.id == "featureflags.W020"
    assert "/nowhere/flags.json" in str(message.msg)


@pytest.mark.django_db
@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "dummy.DummyCache"])
@pytest.mark.parametrize("given", [{"CACHE": "own"}, {}])
def test_w021_a_cache_of_one_process(
    settings: Settings, backend: str, given: dict[str, str]
) -> None:
    own = {"BACKEND": f"django.core.cache.backends.{backend}"}
    settings.CACHES = {"default": own, "own": own}
    settings.FEATUREFLAGS = given
    (message,) = checks.check_cache()
    assert message.id == "featureflags.W021"
    assert repr(given.get("CACHE", "default")) in str(message.msg)


def test_w023_a_private_name_that_is_misspelt(settings: Settings) -> None:
    settings.FEATUREFLAGS = {"PRIVATE_ATTRIBUTES": ["emial", "custom_phone", "cart_total"]}
    (message,) = checks.check_private_attributes()
    assert (message.id, "'email'" in str(message.hint)) == ("featureflags.W023", True)


def _raises(_snapshot: object, _now: int) -> Any:
    raise LookupError("no such thing")


def attribute(**changed: Any) -> Attribute:
    values: dict[str, Any] = {"value": lambda _s, _n: 42, "type": AttributeType.NUMBER}
    return Attribute(name="size", label="Size", **{**values, **changed})


RAISES = attribute(value=_raises)
OTHER_TYPE = attribute(value=lambda _s, _n: "42")
NO_JSON = attribute(value=lambda _s, _n: {42})
NO_COLUMN = attribute(sql=F("nowhere"))
NO_RELATION = attribute(type=AttributeType.LIST, value=lambda _s, _n: [], sql_related=("a", "b"))
NO_INSTANT = attribute(elapsed_days_since="email")
CLOCK_RAISES = attribute(clock=lambda snapshot: snapshot.nothing)
RIGHT = attribute()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("RAISES", "raises LookupError"),
        ("OTHER_TYPE", "has the type number, and its value is '42'"),
        ("NO_JSON", "is a set, which is not a JSON value"),
        ("NO_COLUMN", "SQL that does not compile"),
        ("NO_RELATION", "SQL that does not compile"),
        ("NO_INSTANT", "counts days since 'email'"),
        ("CLOCK_RAISES", "raises AttributeError"),
    ],
)
def test_e022_attributes(settings: Settings, name: str, why: str) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "ATTRIBUTES": [f"{HERE}.{name}"]}
    (message,) = checks.check_attributes()
    assert message.id == "featureflags.E022"
    assert why in str(message.msg)
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "ATTRIBUTES": [f"{HERE}.RIGHT"]}
    assert checks.check_attributes() == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["RAISES", "CLOCK_RAISES"])
def test_an_attribute_that_raises_is_left_out_and_said(
    settings: Settings, flag_file: FlagFile, name: str
) -> None:
    flag_file(boolean_flag("beta", fallthrough=True))
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "ATTRIBUTES": [f"{HERE}.{name}"]}
    detail = variation_detail("beta", UserFactory.create())
    assert detail.value is True
    assert detail.degraded == (Degradation.ATTRIBUTE_DROPPED,)


def test_a_variable_that_cannot_be_read_gives_a_message_without_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("X", "a day")
    assert environment.whole("X", 5) == environment.decimal("X", 5.0) == "a day"
    assert environment.boolean("X", default=True) == "a day"
    monkeypatch.setenv("X", " 7 ")
    assert (environment.whole("X", 5), environment.decimal("X", 5.0)) == (7, 7.0)
    for text, expected in {"on": True, "False": False, "": True}.items():
        monkeypatch.setenv("X", text)
        assert environment.boolean("X", default=True) is expected


def test_the_command_prints_it_in_words(tmp_path: Any) -> None:
    env = {
        "GUIDON_VAR_DIR": str(tmp_path),
        "SNAPSHOT_SECONDS": "a day",
        "LAUNCHDARKLY_SEND_EVENTS": "nope",
        "LAUNCHDARKLY_SDK_KEY": "mob-1",
    }
    ended = manage(env, "check")
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    for words in (
        "(featureflags.E016) FEATUREFLAGS['SNAPSHOT_SECONDS'] must be a whole number of seconds",
        "(featureflags.E016) FEATUREFLAGS['SEND_EVENTS'] must be True or False",
        "(featureflags.E019) FEATUREFLAGS['SDK_KEY'] begins with mob-: that is a mobile key",
    ):
        assert words in ended.stderr


@pytest.mark.parametrize(
    ("address", "is_right"),
    [
        ("https://flags.example.com", True),
        ("http://127.0.0.1:8000/guidon/", True),
        ("flags.example.com", False),
        ("https://", False),
        ("ftp://flags.example.com", False),
        ("https://user:secret@flags.example.com", False),
        ("https://flags.example.com/?a=b", False),
        ("https://flags.example.com:port", False),
        ("https://flags.example.com/a|b", False),
        ("javascript:alert(1)", False),
    ],
)
def test_the_address_of_the_site(settings: Settings, address: str, is_right: bool) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SITE_URL": address}
    assert app_settings().site_url == (address if is_right else "")
    assert [each.id for each in setting_problems()] == ([] if is_right else ["featureflags.E017"])
