"""Overrides as the SDK itself sees them: every call, prerequisites, threads, tasks, flags that go."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.template import Context as TemplateContext
from django.template import Template
from django.test import override_settings
from django.urls import path
from ldclient import Context
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from featureflags.contexts.results import Degradation
from featureflags.evaluation import all_flags, is_enabled, looking, variation, variation_detail
from featureflags.flags.overrides import forced_flags, overridden_flags, override_flag
from featureflags.launchdarkly.client import client
from tests.conftest import FlagFile
from tests.services.flag_json import boolean_flag, prerequisite, string_flag
from tests.services.waiting import PATIENCE_SECONDS

USER = Context.create("ada")
BASE = boolean_flag("base", fallthrough=False)
NEEDS_BASE = boolean_flag("needs-base", fallthrough=True, prerequisites=[prerequisite("base", 0)])
COLOUR = string_flag("colour", ["teal", "plum"])


def asked(key: str, default: Any = None) -> Any:
    """The SDK itself, not the facade."""
    return client().variation(key, USER, default)


class TestTheSdkSeesThem:
    def test_variation_detail_and_all_flags(self, flag_file: FlagFile) -> None:
        flag_file(BASE, COLOUR)
        with override_flag("base", True), override_flag("colour", "plum"):
            assert asked("base") is True
            detail = client().variation_detail("colour", USER, None)
            assert (detail.value, detail.variation_index) == ("plum", 1)
            state = client().all_flags_state(USER)
            assert state.to_values_map() == {"base": True, "colour": "plum"}
        assert asked("base") is False
        assert client().all_flags_state(USER).to_values_map() == {"base": False, "colour": "teal"}

    def test_prerequisites_follow(self, flag_file: FlagFile) -> None:
        flag_file(BASE, NEEDS_BASE)
        assert asked("needs-base") is False
        with override_flag("base", True):
            assert asked("needs-base") is True
            assert client().all_flags_state(USER).get_flag_value("needs-base") is True
            with override_flag("base", False):
                assert asked("needs-base") is False
            with override_flag("base", missing=True):
                reason = client().variation_detail("needs-base", USER, None).reason
                assert reason == {"kind": "PREREQUISITE_FAILED", "prerequisiteKey": "base"}

    def test_a_flag_that_launchdarkly_does_not_have(self, flag_file: FlagFile) -> None:
        flag_file(BASE)
        with override_flag("invented", {"size": 5}):
            assert asked("invented") == {"size": 5}
            assert client().all_flags_state(USER).to_values_map() == {
                "base": False,
                "invented": {"size": 5},
            }

    @pytest.mark.parametrize(
        ("value", "index"),
        [(True, 0), (1, 1), (1.0, 1), ("1", 2), (None, 3), ([True], 4), ([1], 5), ({"a": 1}, 6)],
    )
    def test_a_value_is_one_of_the_flag_s_own_if_it_is_the_same(
        self, flag_file: FlagFile, value: Any, index: int
    ) -> None:
        """True is not 1, nested or not. Another value is added behind them."""
        flag_file({**BASE, "variations": [True, 1, "1", None, [True], [1]]})
        with override_flag("base", value):
            detail = client().variation_detail("base", USER, "default")
        assert detail.variation_index == index
        assert type(detail.value) is (int if index == 1 else type(value))

    @pytest.mark.parametrize("source", ["offline", "test-data"])
    def test_with_every_source(self, settings: Settings, source: str) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SOURCE": source}
        with override_flag("base", True):
            assert asked("base") is True
            with looking():
                assert asked("base") is True
            assert client().all_flags_state(USER).to_values_map() == {"base": True}


class TestMissing:
    @pytest.mark.django_db
    def test_the_facade_gives_the_default_and_the_reason(
        self, flag_file: FlagFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flag_file(boolean_flag("new-checkout", fallthrough=True), BASE)
        assert is_enabled("new-checkout") is True
        monkeypatch.setenv("FORCE_FLAG_NEW_CHECKOUT", "true")
        forced_flags.cache_clear()
        with override_flag("new-checkout", missing=True), override_flag("base", missing=True):
            detail = variation_detail("new-checkout")
            assert (detail.value, detail.degraded) == (False, (Degradation.FLAG_NOT_FOUND,))
            assert variation("base", default="x") == "x"
            flags = all_flags()
            assert flags["new-checkout"].degraded == (Degradation.FLAG_NOT_FOUND,)
            assert "base" not in flags
            with override_flag("new-checkout", True):
                assert is_enabled("new-checkout", strict=True)


@pytest.mark.django_db
def test_templates_follow_also_through_prerequisites(flag_file: FlagFile) -> None:
    flag_file(BASE, NEEDS_BASE, COLOUR)
    template = Template(
        '{% load featureflags %}{% flag "needs-base" %}on{% else %}off{% endflag %}'
        ' {% flag_value "colour" "slate" %}'
    )

    def page() -> str:
        return template.render(TemplateContext())

    assert page() == "off teal"
    with override_flag("base", True), override_flag("colour", "plum"):
        assert page() == "on plum"
        with override_flag("colour", missing=True), override_flag("needs-base", missing=True):
            assert page() == "off slate"
    assert page() == "off teal"


class TestThreadsAndTasks:
    def test_eight_threads_do_not_see_each_other(self, flag_file: FlagFile) -> None:
        flag_file(COLOUR)
        together = threading.Barrier(8)

        def own(number: int) -> list[Any]:
            seen = []
            for turn in range(5):
                with override_flag("colour", f"{number}-{turn}"):
                    together.wait(PATIENCE_SECONDS)
                    seen.append(asked("colour"))
            return [*seen, asked("colour")]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(own, range(8)))
        assert results == [[*(f"{n}-{turn}" for turn in range(5)), "teal"] for n in range(8)]

    async def test_twenty_interleaved_tasks_do_not_see_each_other(
        self, flag_file: FlagFile
    ) -> None:
        flag_file(COLOUR)

        async def own(number: int) -> list[Any]:
            seen = []
            for turn in range(5):
                async with override_flag("colour", f"{number}-{turn}"):
                    await asyncio.sleep(0)
                    seen.append(asked("colour"))
            return seen

        results = await asyncio.gather(*map(own, range(20)))
        assert results == [[f"{n}-{turn}" for turn in range(5)] for n in range(20)]

    async def test_one_decorated_function_may_run_twice_at_once(self, flag_file: FlagFile) -> None:
        flag_file(COLOUR)

        @override_flag("colour", "red")
        async def overridden(steps: int) -> Any:
            for _ in range(steps):
                await asyncio.sleep(0)
            return asked("colour")

        results = await asyncio.gather(*map(overridden, [5, 1]))
        assert results == ["red", "red"]
        assert asked("colour") == "teal"


class TestProcessWide:
    @pytest.fixture
    def elsewhere(self) -> Iterator[Callable[[], Any]]:
        """Ask in a thread that was there before any override."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(int).result()
            yield lambda: pool.submit(asked, "colour").result(PATIENCE_SECONDS)

    def test_every_thread_sees_it_until_it_ends(
        self, flag_file: FlagFile, elsewhere: Callable[[], Any]
    ) -> None:
        flag_file(COLOUR)
        with override_flag("colour", "red"):
            assert elsewhere() == "teal", "of this thread alone"
        with override_flag("colour", "red", process_wide=True):
            assert (asked("colour"), elsewhere()) == ("red", "red")
            with override_flag("colour", "blue", process_wide=True):
                assert (asked("colour"), elsewhere()) == ("blue", "blue")
                with override_flag("colour", "local"):
                    assert (asked("colour"), elsewhere()) == ("local", "blue")
            assert (asked("colour"), elsewhere()) == ("red", "red")
        assert (asked("colour"), elsewhere()) == ("teal", "teal")
        assert overridden_flags() == {}

    def test_the_inner_one_wins_here_with_any_scope(self, flag_file: FlagFile) -> None:
        flag_file(COLOUR)
        with override_flag("colour", "red"), override_flag("colour", "wide", process_wide=True):
            assert asked("colour") == "wide"

    def test_an_exception_ends_it(self, flag_file: FlagFile, elsewhere: Callable[[], Any]) -> None:
        flag_file(COLOUR)

        @override_flag("colour", "red", process_wide=True)
        def fail() -> None:
            assert elsewhere() == "red"
            raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert elsewhere() == "teal"


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(variation("accent-colour", request=request)))


urlpatterns = [path("colour/", page)]


@pytest.mark.django_db(transaction=True)
@override_settings(ROOT_URLCONF="tests.featureflags.flags.test_overrides")
def test_a_live_server_sees_a_process_wide_override(
    flag_file: FlagFile, live_server: LiveServer
) -> None:
    flag_file(string_flag("accent-colour", ["teal", "plum"]))

    def shown() -> str:
        with urllib.request.urlopen(
            f"{live_server.url}/colour/", timeout=PATIENCE_SECONDS
        ) as response:
            text: str = response.read().decode()
        return text

    assert shown() == "teal"
    with override_flag("accent-colour", "red", process_wide=True):
        assert shown() == "red"
    assert shown() == "teal"
