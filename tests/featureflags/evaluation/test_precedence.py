"""What decides the value of a flag: an override, an environment variable, LaunchDarkly, the default."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from featureflags.evaluation import (
    all_flags,
    avariation,
    is_enabled,
    override_flag,
    variation,
    variation_detail,
)
from featureflags.flags.overrides import forced_flags, read_forced
from featureflags.launchdarkly.sdk_config import FILE_POLL_SECONDS
from featureflags.launchdarkly.status import State, connection_status
from featureflags.testing import FlagOverrides
from tests.conftest import FlagFile
from tests.featureflags.evaluation.tools_flag import TOOLS
from tests.services.launchdarkly import boolean_flag
from tests.services.waiting import wait_until
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


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
