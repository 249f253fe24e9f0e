"""API keys over HTTP: what each scope opens, what is refused, how soon a revoked key ends."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection
from django.utils import timezone
from rest_framework.test import APIClient

from featureflags.api import keys, throttling
from featureflags.models import ApiKey, Scope
from featureflags.models.api_keys import USED_EVERY, prefix_of
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, token_for
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag
from users.models import User

pytestmark = pytest.mark.django_db

ME, FLAGS, SEGMENTS = "/api/v1/users/me/", "/api/v1/flags/", "/api/v1/segments/"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    keys.forget_keys()
    throttling.forget_counts()
    yield
    keys.forget_keys()
    throttling.forget_counts()


def caller(token: str, **headers: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", **headers)
    return client


def staff(*permissions: str) -> User:
    user = UserFactory.create(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def row_of(token: str) -> ApiKey:
    return ApiKey.objects.get(prefix=prefix_of(token))


def test_a_key_that_reads_reads_what_its_owner_may_and_writes_nothing() -> None:
    SegmentFactory.create(key="s")
    client = caller(token_for(staff("view_segment", "change_segment"), Scope.READ))
    assert client.get(SEGMENTS).status_code == 200
    assert client.get(ME).status_code == 200
    refused = client.patch(f"{SEGMENTS}s/", {"name": "New"})
    assert refused.status_code == 403
    assert "write" in refused.json()["detail"]
    assert client.patch(ME, {"name": "New"}).status_code == 403


def test_a_key_that_writes_does_only_what_its_owner_may() -> None:
    SegmentFactory.create(key="s")
    looker = staff("view_segment")
    client = caller(token_for(looker))
    assert client.get(SEGMENTS).status_code == 200
    assert client.patch(f"{SEGMENTS}s/", {"name": "New"}).status_code == 403
    looker.user_permissions.set(Permission.objects.filter(codename="change_segment"))
    assert client.patch(f"{SEGMENTS}s/", {"name": "New"}).status_code == 200


def test_a_key_that_evaluates_sees_nobody_and_nothing_else() -> None:
    client = caller(token_for())
    for path in (ME, FLAGS, f"{FLAGS}new-checkout/", SEGMENTS, "/api/v1/users/", f"{ME}context/"):
        assert client.get(path).status_code == 403, path


def test_a_view_that_names_no_scope_is_closed_to_keys_that_only_evaluate() -> None:
    client = caller(token_for())
    assert client.get("/api/v1/segments/").status_code == 403
    assert client.get("/api/v1/schema/").status_code == 200, "anybody may read the schema"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer ",
        "Bearer nonsense",
        "Bearer ü",
        "Token abc",
        "bearer gdn_a_b",
        "Bearer a b",
        "Digest x",
    ],
)
def test_a_wrong_key_is_401(header: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)
    for path in (ME, FLAGS):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_wrong_key_is_not_saved_by_a_session() -> None:
    client = caller("nonsense")
    client.force_login(UserFactory.create())
    assert client.get(ME).status_code == 401


def test_the_password_of_a_proxy_does_not_disturb_a_session() -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Basic c3RhZ2luZzpzdGFnaW5n")
    client.force_login(UserFactory.create())
    assert client.get(ME).status_code == 200


def test_the_other_header_works_as_well() -> None:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=token_for(UserFactory.create()))
    assert client.get(ME).status_code == 200


def test_an_expired_key_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    token = token_for(UserFactory.create(), expires_at=timezone.now() + datetime.timedelta(hours=1))
    client = caller(token)
    assert client.get(ME).status_code == 200
    later = timezone.now() + datetime.timedelta(hours=1)
    monkeypatch.setattr("featureflags.api.keys.timezone.now", lambda: later)
    refused = client.get(ME)
    assert (refused.status_code, refused.json()["detail"]) == (401, "This API key has expired.")


def test_a_revoked_key_ends_at_once_here_and_within_seconds_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = token_for(UserFactory.create())
    client = caller(token)
    assert client.get(ME).status_code == 200
    # As another process revokes it: this one gets no signal.
    ApiKey.objects.update(is_active=False)
    monkeypatch.setattr(keys, "FRESH_SECONDS", 0.0)
    assert client.get(ME).status_code == 401
    monkeypatch.undo()
    ApiKey.objects.update(is_active=True)
    assert client.get(ME).status_code == 200
    row = row_of(token)
    row.is_active = False
    row.save()
    assert client.get(ME).status_code == 401


def test_the_owner_s_account_is_read_each_time() -> None:
    owner = UserFactory.create()
    client = caller(token_for(owner))
    assert client.get(ME).status_code == 200
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert client.get(ME).status_code == 401


def test_a_known_key_costs_no_query(django_assert_num_queries: Callable[[int], Any]) -> None:
    token = token_for()
    keys.find_key(token)
    with django_assert_num_queries(0):
        keys.find_key(token)


def test_what_is_wrong_is_never_kept() -> None:
    for number in range(50):
        with pytest.raises(keys.KeyRefused):
            keys.find_key(f"nonsense-{number}")
    assert not keys._known


def failing(*_args: Any) -> None:
    raise OperationalError("server closed the connection unexpectedly")


def test_without_the_database_a_known_key_still_evaluates(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluates, reads = token_for(), token_for(UserFactory.create(), Scope.READ)
    for token in (evaluates, reads):
        keys.find_key(token)
    monkeypatch.setattr(keys, "FRESH_SECONDS", 0.0)
    with connection.execute_wrapper(failing):
        assert keys.find_key(evaluates).scope is Scope.EVALUATE
        with pytest.raises(OperationalError):
            keys.find_key(reads)
        keys.forget_keys()
        with pytest.raises(OperationalError):
            keys.find_key(evaluates)


def test_a_key_is_not_trusted_for_ever_without_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = token_for()
    keys.find_key(token)
    monkeypatch.setattr(keys, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(keys, "OUTAGE_SECONDS", 0.0)
    with connection.execute_wrapper(failing), pytest.raises(OperationalError):
        keys.find_key(token)


def test_last_use_is_written_once_in_a_while(
    django_assert_num_queries: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_for()
    keys.find_key(token)
    first = row_of(token).last_used_at
    assert first is not None
    keys.forget_keys()
    keys.find_key(token)
    assert row_of(token).last_used_at == first
    later = monotonic() + USED_EVERY.total_seconds()
    monkeypatch.setattr("featureflags.api.keys.monotonic", lambda: later)
    ApiKey.objects.update(last_used_at=timezone.now() - USED_EVERY)
    keys.find_key(token)
    last = row_of(token).last_used_at
    assert last is not None
    assert last > first


@pytest.fixture
def browser_flags(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("new-checkout"), boolean_flag("internal-tools"))


def test_a_key_for_some_flags_sees_those_alone(browser_flags: None) -> None:
    token = token_for(UserFactory.create(is_staff=True), Scope.READ, flags=["internal-tools"])
    client = caller(token)
    assert [item["flag"] for item in client.get(FLAGS).json()["results"]] == ["internal-tools"]
    assert client.get(f"{FLAGS}internal-tools/").status_code == 200
    assert client.get(f"{FLAGS}new-checkout/").status_code == 404


def test_a_key_for_other_kinds_sees_no_user() -> None:
    root = UserFactory.create(superuser=True)
    client = caller(token_for(root, Scope.READ, kinds=["organization"]))
    paths = (ME, FLAGS, f"{ME}context/", f"/api/v1/contexts/user/{root.pk}/", "/api/v1/users/")
    for path in (*paths, f"/api/v1/contexts/user/{root.pk}/flags/", f"/api/v1/users/{root.pk}/"):
        assert client.get(path).status_code == 403, path


def test_a_key_for_some_origins_works_there_alone() -> None:
    token = token_for(UserFactory.create(), origins=["https://shop.example.com"])
    assert caller(token).get(ME).status_code == 403
    assert caller(token, HTTP_ORIGIN="https://evil.example.com").get(ME).status_code == 403
    assert caller(token, HTTP_ORIGIN="https://shop.example.com").get(ME).status_code == 200


def test_no_token_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    token = token_for(UserFactory.create(), Scope.READ)
    secret = token.split("_", 2)[2]
    with caplog.at_level(logging.DEBUG):
        caller(token).get(ME)
        caller(token).patch(ME, {"name": "x"})
        caller(token + "x").get(ME)
        with connection.execute_wrapper(failing):
            keys.forget_keys()
            caller(token).get(ME)
    logged = "\n".join(
        record.getMessage() for record in caplog.records if record.name != "django.db.backends"
    )
    assert logged
    assert secret not in logged


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
