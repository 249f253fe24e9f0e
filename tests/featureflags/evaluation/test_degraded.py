"""Answers while the database or LaunchDarkly is down: never an error, always with the reason."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from pytest_django.fixtures import Settings

from featureflags.cache import compiled_rules
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.core import monitoring
from featureflags.evaluation import (
    FlagUnavailable,
    all_flags,
    is_enabled,
    looking,
    track,
    variation_detail,
)
from featureflags.evaluation.resolve import resolve
from tests.conftest import FlagFile
from tests.emptying import empty_caches
from tests.featureflags.evaluation.tools_flag import TOOLS
from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag
from tests.services.waiting import wait_until
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


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
