"""`flags/evaluate/`: many subjects at once, in one read of the cache, for programs and staff."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from featureflags.cache import protocol
from featureflags.models import Scope
from tests.clients.flags import flags
from tests.conftest import FlagFile
from tests.factories import UserFactory, token_for
from tests.featureflags.api.evaluating import LINES, URL, ask, caller
from tests.featureflags.api.test_contexts import viewer
from tests.users.api.conftest import Caller

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def some_flags(flag_file: FlagFile, transactional_db: None) -> None:
    flag_file(*flags())


def test_each_subject_has_its_own_values_in_order() -> None:
    ada, ben = UserFactory.create(employee=True), UserFactory.create()
    chosen = ("new-checkout", "colour", "off-without-value", "no-such-flag")
    answer = ask(caller(token_for()), ben.pk, str(ada.pk).upper(), ben.pk, flags=chosen)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [each["key"] for each in results] == [str(ben.pk), str(ada.pk)]
    assert [each["flags"]["new-checkout"]["value"] for each in results] == [False, True]
    assert set(results[0]["flags"]) == set(chosen) - {"no-such-flag"}
    assert results[1]["flags"]["new-checkout"] == {
        "value": True,
        "variation": 0,
        "reason": "TARGETING_MATCH",
    }
    assert results[0]["degraded"] == []


def test_a_thousand_subjects_cost_one_read_and_one_query(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    users = UserFactory.create_batch(40)
    strangers = [f"6d0c3a52-0000-4000-8000-{number:012d}" for number in range(960)]
    client = caller(token_for())
    ask(client, users[0].pk)
    reads: list[int] = []
    read = protocol.read

    def counted(keys: Any) -> Any:
        keys = list(keys)
        reads.append(len(keys))
        return read(keys)

    monkeypatch.setattr(protocol, "read", counted)
    with django_assert_max_num_queries(4):
        answer = ask(client, *(user.pk for user in users), *strangers)
    assert len(answer.json()["results"]) == 1000
    assert reads == [1000]
    assert answer.json()["results"][-1]["degraded"] == ["no_such_user"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "subjects"),
        ({"subjects": [], "flags": ["a"]}, "subjects"),
        ({"subjects": ["x"] * 50_001, "flags": ["a"]}, "subjects"),
        ({"subjects": ["ada@agpt.co"], "flags": ["a"]}, "subjects"),
        ({"subjects": [1], "flags": ["a"]}, "subjects"),
        ({"subjects": [""], "flags": ["a"]}, "subjects"),
        ({"subjects": ["x" * 257], "flags": ["a"]}, "subjects"),
        ({"subjects": ["x"], "flags": []}, "flags"),
        ({"subjects": ["x"], "flags": ["a"] * 101}, "flags"),
        ({"subjects": ["x"], "flags": [None]}, "flags"),
        ({"subjects": ["x"]}, "flags"),
    ],
)
def test_what_is_wrong_is_named(body: Any, field: str) -> None:
    answer = caller(token_for()).post(URL, body)
    assert answer.status_code == 400
    assert field in answer.json()["errors"]
    assert "ada@agpt.co" not in str(answer.json())


def test_who_may_ask(by_session: Caller) -> None:
    assert ask(APIClient(), "x").status_code == 401
    assert ask(by_session(UserFactory.create()), "x").status_code == 403
    assert ask(by_session(UserFactory.create(is_staff=True)), "x").status_code == 403
    assert ask(by_session(viewer()), "x").status_code == 200
    for scope in (Scope.READ, Scope.WRITE):
        assert ask(caller(token_for(viewer(), scope)), "x").status_code == 200
    assert ask(caller(token_for(kinds=["organization"])), "x").status_code == 403
    enforcing = APIClient(enforce_csrf_checks=True)
    enforcing.force_login(viewer())
    assert ask(enforcing, "x").status_code == 403


def test_a_key_sees_its_own_flags_alone() -> None:
    few = caller(token_for(flags=["colour"]))
    (result,) = ask(few, "x", flags=["colour", "new-checkout"]).json()["results"]
    assert set(result["flags"]) == {"colour"}
    browser = caller(
        token_for(origins=["https://shop.example.com"]), HTTP_ORIGIN="https://shop.example.com"
    )
    (result,) = ask(browser, "x", flags=["colour", "new-checkout"]).json()["results"]
    assert set(result["flags"]) == {"new-checkout"}


def test_a_key_that_evaluates_sees_nothing_personal() -> None:
    ada = UserFactory.create(
        employee=True, email="ada.secret@agpt.co", name="Ada Secret", metadata={"plan": "secret"}
    )
    for headers in ({}, LINES):
        answer = ask(
            caller(token_for(), **headers), ada.pk, flags=[flag["key"] for flag in flags()]
        )
        content = b"".join(answer) if answer.streaming else answer.content
        assert str(ada.pk).encode() in content
        assert b"ecret" not in content
        assert b"segment" not in content
