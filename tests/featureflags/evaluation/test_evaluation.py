"""The facade on the real SDK: values, reasons, precedence, and what a failure looks like."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import connections

from featureflags.cache import compiled_rules
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.evaluation import (
    FlagUnavailable,
    aall_flags,
    ais_enabled,
    all_flags,
    atrack,
    avariation,
    avariation_detail,
    is_enabled,
    variation,
    variation_detail,
)
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.kinds.snapshot import Snapshot
from tests.conftest import FlagFile
from tests.emptying import empty_caches
from tests.factories import UserFactory
from tests.featureflags.evaluation.tools_flag import TOOLS
from tests.services.flag_json import boolean_flag, clause, rule, segment_rule, string_flag
from tests.services.launchdarkly import LaunchDarklyServer
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


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
    assert Snapshot.__module__ == "featureflags.kinds.snapshot"
