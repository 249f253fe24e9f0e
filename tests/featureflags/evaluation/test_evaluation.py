"""The facade on the real SDK: values, reasons, precedence, and what a failure looks like."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError, connection, connections
from pytest_django.fixtures import Settings

from featureflags.cache import compiled_rules
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.core import monitoring
from featureflags.evaluation import (
    FlagUnavailable,
    aall_flags,
    ais_enabled,
    all_flags,
    atrack,
    avariation,
    avariation_detail,
    is_enabled,
    looking,
    override_flag,
    track,
    variation,
    variation_detail,
)
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.flags.overrides import forced_flags, read_forced
from featureflags.launchdarkly.sdk_config import FILE_POLL_SECONDS
from featureflags.launchdarkly.status import State, connection_status
from featureflags.testing import FlagOverrides
from tests.conftest import FlagFile
from tests.emptying import empty_caches
from tests.factories import UserFactory
from tests.services.launchdarkly import (
    LaunchDarklyServer,
    boolean_flag,
    clause,
    rule,
    segment_rule,
    string_flag,
)
from tests.services.waiting import wait_until
from users.models import User
from users.snapshots import UserSnapshot

pytestmark = pytest.mark.django_db(transaction=True)

TOOLS = boolean_flag("internal-tools", rules=[segment_rule("employee")])


@pytest.fixture
def employee() -> User:
    return UserFactory.create(employee=True)


@pytest.fixture
def stranger() -> User:
    return UserFactory.create()


@pytest.fixture
def launchdarkly(settings: Settings) -> Iterator[LaunchDarklyServer]:
    """A LaunchDarkly on loopback, which the SDK is connected to."""
    with LaunchDarklyServer(TOOLS) as server:
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "SDK_KEY": server.sdk_key,
            "BASE_URI": server.url,
            "STREAM_URI": server.url,
            "EVENTS_URI": server.url,
            "SEND_EVENTS": True,
        }
        yield server


class TestSubjects:
    def test_a_user_a_key_a_uuid_and_nobody(
        self, flag_file: FlagFile, employee: User, stranger: User
    ) -> None:
        flag_file(TOOLS)
        for asked in (employee, str(employee.pk), employee.pk, employee.pk.hex):
            assert is_enabled("internal-tools", asked) is True
        for other in (stranger, str(stranger.pk), AnonymousUser(), None, "service-x", uuid.uuid4()):
            assert is_enabled("internal-tools", other) is False

    @pytest.mark.parametrize("wrong", [5, b"x", object()])
    def test_anything_else_is_a_mistake_of_the_caller(
        self, flag_file: FlagFile, wrong: Any
    ) -> None:
        with pytest.raises(TypeError, match="second argument"):
            is_enabled("internal-tools", wrong)

    def test_a_key_that_belongs_to_no_user_is_a_degradation(self, flag_file: FlagFile) -> None:
        flag_file(TOOLS)
        key = str(uuid.uuid4())
        detail = variation_detail("internal-tools", key)
        assert detail.source is ContextSource.BARE
        assert detail.degraded == (Degradation.NO_SUCH_USER,)
        with pytest.raises(FlagUnavailable, match="no_such_user"):
            is_enabled("internal-tools", key, strict=True)
        assert resolve(key).context.to_dict() == {"kind": "user", "key": key}

    def test_a_loaded_user_is_used_as_it_is(
        self, flag_file: FlagFile, stranger: User, django_assert_num_queries: Callable[[int], Any]
    ) -> None:
        flag_file(TOOLS)
        loaded = User.objects.with_group_names().get(pk=stranger.pk)
        resolve(loaded)
        with django_assert_num_queries(0):
            assert variation_detail("internal-tools", loaded).source is ContextSource.LOADED
        loaded.email = "not-saved@agpt.co"
        assert is_enabled("internal-tools", loaded)

    def test_by_key_the_second_answer_comes_from_the_cache(
        self, flag_file: FlagFile, employee: User, django_assert_num_queries: Callable[[int], Any]
    ) -> None:
        flag_file(TOOLS)
        empty_caches()
        key = str(employee.pk)
        assert variation_detail("internal-tools", key).source is ContextSource.DATABASE
        with django_assert_num_queries(0):
            assert variation_detail("internal-tools", key).source is ContextSource.CACHE

    def test_many_users_cost_one_query(
        self, django_assert_num_queries: Callable[[int], Any]
    ) -> None:
        keys = [str(user.pk) for user in UserFactory.create_batch(30)]
        compiled_rules.current_ruleset()
        empty_caches()
        with django_assert_num_queries(2):
            # The version and the users.
            contexts = contexts_for(keys)
        assert list(contexts) == keys
        with django_assert_num_queries(0):
            contexts_for(keys)

    def test_within_a_unit_a_user_is_read_once(
        self, flag_file: FlagFile, employee: User, django_assert_num_queries: Callable[[int], Any]
    ) -> None:
        flag_file(TOOLS)
        empty_caches()
        with unit_of_work():
            first = resolve(str(employee.pk))
            with django_assert_num_queries(0):
                assert resolve(str(employee.pk)) is first
        assert resolve(str(employee.pk)) is not first


class TestValues:
    def test_reasons_and_variations_are_launchdarkly_s(
        self, flag_file: FlagFile, employee: User, stranger: User
    ) -> None:
        flag_file(TOOLS)
        detail = variation_detail("internal-tools", employee)
        assert detail.reason["kind"] == "RULE_MATCH"
        assert detail.reason["ruleIndex"] == 0
        assert detail.variation == 0
        assert detail.degraded == ()
        assert variation_detail("internal-tools", stranger).reason == {"kind": "FALLTHROUGH"}

    def test_defaults(self, flag_file: FlagFile, stranger: User) -> None:
        assert is_enabled("unknown", stranger) is False
        assert is_enabled("unknown", stranger, default=True) is True
        assert variation("unknown", stranger) is None
        assert variation("unknown", stranger, default="x") == "x"
        assert variation("accent-colour", stranger) == "slate", "as declared"
        assert variation("accent-colour", stranger, default="red") == "red"

    def test_a_flag_that_is_not_boolean_is_off(
        self, flag_file: FlagFile, stranger: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        flag_file(text="yes", one=1, object={"on": True}, nothing=None)
        with caplog.at_level(logging.WARNING, "featureflags"):
            for key in ("text", "one", "object"):
                assert is_enabled(key, stranger) is False
                assert is_enabled(key, stranger, default=True) is True
                with pytest.raises(FlagUnavailable, match="wrong_type"):
                    is_enabled(key, stranger, strict=True)
        assert "'text'" in caplog.text
        assert variation("object", stranger) == {"on": True}

    def test_a_declared_flag_has_always_its_declared_type(
        self, flag_file: FlagFile, stranger: User
    ) -> None:
        flag_file(**{"accent-colour": 5, "new-checkout": "on"})
        detail = variation_detail("accent-colour", stranger)
        assert detail.value == "slate"
        assert detail.degraded == (Degradation.WRONG_TYPE,)
        assert is_enabled("new-checkout", stranger) is False

    def test_all_flags(self, flag_file: FlagFile, employee: User) -> None:
        flag_file(TOOLS, string_flag("accent-colour", ["teal", "plum"]), extra=5)
        flags = all_flags(employee)
        assert list(flags) == sorted(flags)
        assert flags["internal-tools"].value is True
        assert flags["internal-tools"].reason["kind"] == "RULE_MATCH"
        assert flags["accent-colour"].value == "teal"
        assert flags["extra"].value == 5
        assert flags["new-checkout"].value is False, "declared, and not in LaunchDarkly"
        assert flags["new-checkout"].degraded == (Degradation.FLAG_NOT_FOUND,)
        for key, evaluation in flags.items():
            assert evaluation.value == variation(key, employee)

    def test_extra_attributes_reach_launchdarkly_in_that_call_alone(
        self, flag_file: FlagFile, stranger: User
    ) -> None:
        beta = rule(clause("cart_total", "greaterThan", 100), variation=0)
        flag_file(boolean_flag("new-checkout", rules=[beta]))
        with unit_of_work():
            assert is_enabled("new-checkout", stranger, attributes={"cart_total": 500})
            assert not is_enabled("new-checkout", stranger)
            assert all_flags(stranger, attributes={"cart_total": 500})["new-checkout"].value is True
            assert all_flags(stranger)["new-checkout"].value is False

    def test_a_role_of_one_call_is_not_the_role_of_the_next(
        self, flag_file: FlagFile, stranger: User
    ) -> None:
        flag_file(boolean_flag("admins", rules=[segment_rule("admin")]))
        assert not is_enabled("admins", str(stranger.pk), attributes={"role": "admin"})
        assert not is_enabled("admins", str(stranger.pk))
        assert resolve(str(stranger.pk)).context.get("role") == "user"


class TestPrecedence:
    def test_override_then_force_then_launchdarkly(
        self, flag_file: FlagFile, employee: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flag_file(TOOLS)
        assert is_enabled("internal-tools", employee)
        monkeypatch.setenv("FORCE_FLAG_INTERNAL_TOOLS", "False")
        forced_flags.cache_clear()
        assert not is_enabled("internal-tools", employee)
        assert variation_detail("internal-tools", employee).reason == {"kind": "FORCED"}
        assert all_flags(employee)["internal-tools"].value is False
        with override_flag("internal-tools", True):
            assert is_enabled("internal-tools", employee)
            assert variation_detail("internal-tools", employee).reason == {"kind": "OVERRIDE"}
            assert all_flags(employee)["internal-tools"].value is True
        assert not is_enabled("internal-tools", employee)

    def test_a_flag_that_is_declared_as_text_stays_text(
        self, flag_file: FlagFile, stranger: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FORCE_FLAG_ACCENT_COLOUR", "true")
        monkeypatch.setenv("FORCE_FLAG_NOT_DECLARED", "true")
        forced_flags.cache_clear()
        assert variation("accent-colour", stranger) == "slate"
        assert variation("not-declared", stranger) is True

    def test_what_forces_nothing(self) -> None:
        forced, unreadable = read_forced(
            {"FORCE_FLAG_A": "true", "FORCE_FLAG_B": "0", "FORCE_FLAG_C": "", "OTHER": "true"}
        )
        assert forced == {"A": True}
        assert unreadable == ["FORCE_FLAG_B", "FORCE_FLAG_C"]

    def test_a_forced_answer_is_certain(self, flag_file: FlagFile, stranger: User) -> None:
        with override_flag("not-in-launchdarkly", True):
            assert is_enabled("not-in-launchdarkly", stranger, strict=True)


class TestOverrides:
    def test_nested_and_as_a_decorator(self, flag_file: FlagFile, stranger: User) -> None:
        @override_flag("new-checkout", True)
        def outer() -> list[bool]:
            seen = [is_enabled("new-checkout", stranger)]
            with override_flag("new-checkout", False):
                seen.append(is_enabled("new-checkout", stranger))
            return [*seen, is_enabled("new-checkout", stranger)]

        assert outer() == [True, False, True]
        assert not is_enabled("new-checkout", stranger)

    async def test_async_decorator_and_tasks_do_not_see_each_other(
        self, flag_file: FlagFile
    ) -> None:
        @override_flag("accent-colour", "plum")
        async def overridden() -> Any:
            await asyncio.sleep(0)
            return await avariation("accent-colour")

        async def overridden_within(value: str) -> Any:
            async with override_flag("accent-colour", value):
                await asyncio.sleep(0)
                return await avariation("accent-colour")

        async def plain() -> Any:
            await asyncio.sleep(0)
            return await avariation("accent-colour")

        values = await asyncio.gather(
            *(overridden_within(str(number)) for number in range(20)), overridden(), plain()
        )
        assert values == [*map(str, range(20)), "plum", "slate"]

    def test_an_exception_ends_it(self, flag_file: FlagFile, stranger: User) -> None:
        with pytest.raises(RuntimeError), override_flag("new-checkout", True):
            raise RuntimeError
        assert not is_enabled("new-checkout", stranger)

    def test_the_fixture(
        self, flag_file: FlagFile, stranger: User, flag_overrides: FlagOverrides
    ) -> None:
        flag_overrides("new-checkout", True)
        flag_overrides("accent-colour", "red")
        assert is_enabled("new-checkout", stranger)
        assert variation("accent-colour", stranger) == "red"


def test_the_fixture_has_ended(flag_file: FlagFile) -> None:
    assert variation("accent-colour") == "slate"


@pytest.fixture
async def closing_connections() -> AsyncIterator[None]:
    """The thread that runs synchronous code for coroutines has a connection of its own."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.mark.usefixtures("closing_connections")
class TestAsync:
    async def test_the_twins_answer_as_the_others(self, flag_file: FlagFile) -> None:
        flag_file(TOOLS)
        user = await sync_to_async(UserFactory.create)(employee=True)
        key = str(user.pk)
        for asked in (user, key):
            assert await ais_enabled("internal-tools", asked) is True
            assert await avariation("internal-tools", asked) is True
            detail = await avariation_detail("internal-tools", asked)
            assert detail.reason["kind"] == "RULE_MATCH"
            assert (await aall_flags(asked))["internal-tools"].value is True
        with pytest.raises(FlagUnavailable):
            await ais_enabled("unknown", user, strict=True)

    async def test_a_tracked_event_is_sent(self, launchdarkly: LaunchDarklyServer) -> None:
        from featureflags.launchdarkly import client  # noqa: PLC0415 - beside its use

        user = await sync_to_async(UserFactory.create)()
        await atrack("bought", user, data={"sum": 3}, metric_value=3.0)
        await sync_to_async(client.close)()
        [event] = launchdarkly.events("custom")
        assert (event["key"], event["data"], event["metricValue"]) == ("bought", {"sum": 3}, 3.0)
        assert str(user.pk) in str(event)


class TestDatabaseDown:
    @pytest.fixture
    def down(self) -> Callable[[], Any]:
        def fail(*_args: Any) -> None:
            raise OperationalError("server closed the connection unexpectedly")

        return lambda: connection.execute_wrapper(fail)

    def test_the_cache_answers_and_nothing_is_degraded(
        self, flag_file: FlagFile, employee: User, down: Callable[[], Any]
    ) -> None:
        flag_file(TOOLS)
        empty_caches()
        resolve(str(employee.pk))
        compiled_rules.forget_loaded()
        with down():
            detail = variation_detail("internal-tools", str(employee.pk))
        assert detail.value is True
        assert (detail.source, detail.degraded) == (ContextSource.CACHE, ())

    def test_without_the_cache_the_key_alone_is_asked_with_and_that_is_said(
        self, flag_file: FlagFile, employee: User, down: Callable[[], Any]
    ) -> None:
        flag_file(
            TOOLS,
            {**boolean_flag("mine"), "targets": [{"values": [str(employee.pk)], "variation": 0}]},
        )
        key = str(employee.pk)
        empty_caches()
        with down():
            detail = variation_detail("internal-tools", key)
            assert detail.value is False
            assert detail.source is ContextSource.BARE
            assert Degradation.USER_UNAVAILABLE in detail.degraded
            assert variation_detail("mine", key).value is True, "rules on the key still hold"
            with pytest.raises(FlagUnavailable, match="user_unavailable") as caught:
                is_enabled("internal-tools", key, strict=True)
        assert caught.value.evaluation.value is False
        assert is_enabled("internal-tools", key, strict=True), "the failure was not kept"

    def test_a_failure_is_kept_within_a_unit_for_a_second_at_most(
        self, flag_file: FlagFile, employee: User, down: Callable[[], Any]
    ) -> None:
        flag_file(TOOLS)
        empty_caches()
        with unit_of_work():
            with down():
                assert not is_enabled("internal-tools", str(employee.pk))
                resolve(str(employee.pk))
                assert monitoring.counts()["database_unavailable"] == 1, "a page waits once"
            wait_until(lambda: is_enabled("internal-tools", str(employee.pk)), what="healing")

    def test_a_spare_answers_after_its_24_hours(
        self, flag_file: FlagFile, employee: User, down: Callable[[], Any], settings: Settings
    ) -> None:
        flag_file(TOOLS)
        empty_caches()
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SNAPSHOT_SECONDS": 0}
        resolve(str(employee.pk))
        with down():
            detail = variation_detail("internal-tools", str(employee.pk))
        assert (detail.value, detail.source) == (True, ContextSource.SPARE)
        assert detail.degraded == (Degradation.USER_STALE,)

    def test_a_user_that_was_loaded_without_groups_is_survived(
        self, flag_file: FlagFile, employee: User, down: Callable[[], Any]
    ) -> None:
        flag_file(TOOLS)
        empty_caches()
        with down():
            detail = variation_detail("internal-tools", employee)
        assert (detail.value, detail.source) == (False, ContextSource.BARE)
        assert Degradation.USER_UNAVAILABLE in detail.degraded
        resolve(str(employee.pk))
        with down():
            detail = variation_detail("internal-tools", employee)
        assert (detail.value, detail.source) == (True, ContextSource.CACHE)

    def test_it_is_logged_once_without_an_address(
        self,
        flag_file: FlagFile,
        employee: User,
        down: Callable[[], Any],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        empty_caches()
        with caplog.at_level(logging.WARNING), down():
            for _ in range(5):
                is_enabled("internal-tools", str(employee.pk))
        assert monitoring.counts()["database_unavailable"] == 5
        assert caplog.text.count("database failed") == 1
        assert employee.email not in caplog.text


class TestLaunchDarkly:
    def test_a_flip_reaches_the_next_check(
        self, launchdarkly: LaunchDarklyServer, stranger: User
    ) -> None:
        assert not is_enabled("internal-tools", stranger)
        launchdarkly.set_flag(boolean_flag("internal-tools", fallthrough=True))
        wait_until(lambda: is_enabled("internal-tools", stranger), what="the edit")

    def test_private_attributes_are_in_no_event(
        self, launchdarkly: LaunchDarklyServer, employee: User
    ) -> None:
        is_enabled("internal-tools", employee, attributes={"cart_total": 5})
        track("bought", employee, data={"sum": 3}, metric_value=3.0)
        from featureflags.launchdarkly import client  # noqa: PLC0415 - beside its use

        client.close()
        kinds = {event["kind"] for event in launchdarkly.events()}
        assert {"index", "summary", "custom"} <= kinds
        text = str(launchdarkly.deliveries())
        assert str(employee.pk) in text
        assert employee.email not in text
        assert employee.name not in text

    def test_looking_sends_nothing(self, launchdarkly: LaunchDarklyServer, employee: User) -> None:
        from featureflags.launchdarkly import client  # noqa: PLC0415 - beside its use

        with looking():
            assert is_enabled("internal-tools", employee)
            assert all_flags(employee)["internal-tools"].value is True
            track("bought", employee)
        all_flags(employee)
        client.close()
        assert launchdarkly.events() == []
        assert is_enabled("internal-tools", employee)
        client.close()
        assert launchdarkly.events()

    def test_an_odd_value_does_not_cost_the_events_of_others(
        self, launchdarkly: LaunchDarklyServer, employee: User, stranger: User, settings: Settings
    ) -> None:
        from featureflags.launchdarkly import client  # noqa: PLC0415 - beside its use

        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": False}
        is_enabled("internal-tools", employee, attributes={"odd": object(), "odder": {1, 2}})
        is_enabled("internal-tools", stranger)
        client.close()
        assert str(stranger.pk) in str(launchdarkly.deliveries())

    def test_launchdarkly_that_was_never_there(
        self, settings: Settings, stranger: User, launchdarkly: LaunchDarklyServer
    ) -> None:
        launchdarkly.stop()
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "START_WAIT": 0.2}
        detail = variation_detail("accent-colour", stranger)
        assert detail.value == "slate"
        assert detail.degraded == (Degradation.LAUNCHDARKLY_UNAVAILABLE,)
        with looking():
            assert variation_detail("accent-colour", stranger).degraded == detail.degraded
        assert all_flags(stranger)["accent-colour"].degraded == detail.degraded
        with pytest.raises(FlagUnavailable, match="launchdarkly_unavailable"):
            is_enabled("internal-tools", stranger, strict=True)

    def test_an_outage_keeps_the_last_values(
        self, launchdarkly: LaunchDarklyServer, employee: User
    ) -> None:
        assert is_enabled("internal-tools", employee)
        launchdarkly.stop()
        assert is_enabled("internal-tools", employee, strict=True)


class TestFlagFile:
    def test_an_edit_is_seen_within_a_second_or_so(
        self, flag_file: FlagFile, stranger: User
    ) -> None:
        assert FILE_POLL_SECONDS < 1, "between two looks at the file"
        flag_file(TOOLS)
        assert not is_enabled("internal-tools", stranger)
        flag_file(boolean_flag("internal-tools", fallthrough=True))
        wait_until(lambda: is_enabled("internal-tools", stranger), what="the edit")

    def test_a_broken_edit_keeps_what_worked(self, flag_file: FlagFile, employee: User) -> None:
        path = flag_file(TOOLS)
        assert is_enabled("internal-tools", employee)
        path.write_text('{"flags": {')
        wait_until(
            lambda: connection_status().state is State.INTERRUPTED,
            what="the broken file",
        )
        assert is_enabled("internal-tools", employee, strict=True)

    def test_a_file_that_is_not_there_yet(
        self, settings: Settings, stranger: User, tmp_path: Any, flag_file: FlagFile
    ) -> None:
        path = tmp_path / "later.json"
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAG_FILE": str(path)}
        assert variation_detail("internal-tools", stranger).degraded
        path.write_text('{"flagValues": {"internal-tools": true}}')
        wait_until(lambda: is_enabled("internal-tools", stranger), what="the edit")


def test_a_snapshot_is_all_that_leaves_the_orm(employee: User) -> None:
    """No model instance, datetime or lazy text is reachable from a context."""
    context = resolve(str(employee.pk)).context.to_dict()
    seen: list[Any] = [context]
    while seen:
        value = seen.pop()
        assert type(value) in {str, int, float, bool, list, dict, type(None)}
        seen += (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        )
    assert UserSnapshot.__module__ == "users.snapshots"
