"""Limits of calls: for each key, user and address, and for wrong keys."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from featureflags.api import throttling
from tests.factories import UserFactory, token_for
from tests.featureflags.api.keys.callers import FLAGS, ME, SEGMENTS, caller
from tests.featureflags.api.using import use

pytestmark = pytest.mark.django_db


class TestLimits:
    def test_each_key_has_its_own(self, settings: Any) -> None:
        use(settings, THROTTLE_KEY=3)
        owner = UserFactory.create()
        one, other = caller(token_for(owner)), caller(token_for(owner))
        assert [one.get(ME).status_code for _call in range(5)] == [200, 200, 200, 429, 429]
        assert other.get(ME).status_code == 200
        assert 1 <= int(one.get(ME)["Retry-After"]) <= 60

    def test_each_user_has_their_own(self, settings: Any) -> None:
        use(settings, THROTTLE_USER=2)
        one, other = APIClient(), APIClient()
        one.force_login(UserFactory.create())
        other.force_login(UserFactory.create())
        assert [one.get(ME).status_code for _call in range(3)] == [200, 200, 429]
        assert other.get(ME).status_code == 200

    def test_each_address_has_its_own(self, settings: Any, browser_flags: None) -> None:
        use(settings, THROTTLE_ADDRESS=2)

        def status(address: str, **headers: str) -> int:
            answer = APIClient().get(FLAGS, REMOTE_ADDR=address, **headers)  # type: ignore[arg-type]
            return int(answer.status_code)

        assert [status("192.0.2.1") for _call in range(3)] == [200, 200, 429]
        assert status("192.0.2.2") == 200
        # A header that anybody can write changes nothing.
        assert status("192.0.2.1", HTTP_X_FORWARDED_FOR="192.0.2.77") == 429
        use(settings, TRUSTED_PROXIES=1)
        # Behind a proxy: what it has seen, and not what the caller wrote before it.
        assert status("192.0.2.1", HTTP_X_FORWARDED_FOR="192.0.2.1, 192.0.2.77") == 200
        assert status("192.0.2.77", HTTP_X_FORWARDED_FOR="192.0.2.78, 192.0.2.1") == 429
        assert [status(f"2001:db8:0:1::{end}") for end in (1, 2, 3)] == [200, 200, 429]

    def test_who_is_refused_has_called_too(self, settings: Any) -> None:
        use(settings, THROTTLE_ADDRESS=2, THROTTLE_USER=2)
        visitor, user = APIClient(), APIClient()
        user.force_login(UserFactory.create())
        assert [visitor.get(SEGMENTS).status_code for _call in range(3)] == [401, 401, 429]
        assert [user.get(SEGMENTS).status_code for _call in range(3)] == [403, 403, 429]

    def test_one_call_counts_once(self, settings: Any) -> None:
        use(settings, THROTTLE_KEY=4)
        program = caller(token_for(UserFactory.create()))
        assert [program.get(ME).status_code for _call in range(5)] == [*[200] * 4, 429]

    def test_wrong_keys_are_throttled_and_right_ones_are_not(self, settings: Any) -> None:
        use(settings, THROTTLE_WRONG_KEYS=3)
        right = caller(token_for(UserFactory.create()))
        wrong = [caller(f"nonsense-{number}").get(ME) for number in range(5)]
        assert [answer.status_code for answer in wrong] == [401, 401, 401, 429, 429]
        assert int(wrong[-1]["Retry-After"]) >= 1
        assert right.get(ME).status_code == 200

    def test_processes_share_what_they_have_counted(self) -> None:
        name, limit = "key:shared", 100
        for _call in range(60):
            assert throttling.count_call(name, limit) is None
        # Another process begins with nothing, and finds the sixty.
        throttling.forget_counts()
        refused = [throttling.count_call(name, limit) for _call in range(60)]
        assert [wait is None for wait in refused].count(True) in range(40, 43)

    def test_without_the_cache_each_process_counts_by_itself(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(throttling, "_add", lambda _name, _number: 0)
        answers = [throttling.count_call("key:alone", 10) for _call in range(12)]
        assert [wait is None for wait in answers] == [True] * 10 + [False] * 2

    def test_a_new_minute_begins_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1_000_000 * 60.0
        monkeypatch.setattr("featureflags.api.throttling.time.time", lambda: now)
        assert throttling.count_call("key:minute", 1) is None
        assert throttling.count_call("key:minute", 1) == 60
        now += 60
        assert throttling.count_call("key:minute", 1) is None

    def test_no_address_is_stored(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        use(settings, THROTTLE_WRONG_KEYS=3)
        names: list[str] = []

        def note(name: str, _number: int) -> int:
            names.append(name)
            return 0

        monkeypatch.setattr(throttling, "_add", note)
        APIClient().get(ME, REMOTE_ADDR="192.0.2.1", HTTP_AUTHORIZATION="Bearer x")
        assert names
        assert not any("192.0.2.1" in name for name in names)

    def test_callers_without_number_cost_bounded_memory(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(throttling, "_add", lambda _name, _number: 0)
        monkeypatch.setattr(throttling, "MOST_COUNTED", 10)
        for number in range(100):
            throttling.count_call(f"address:{number}", 5)
        assert len(throttling._counts) <= 10
