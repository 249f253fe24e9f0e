"""OFREP's bodies, statuses, codes and reasons, for one flag and for all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from featureflags.api import keys, throttling
from featureflags.cache import snapshot_store
from featureflags.cache.entries import name_of
from tests.clients.flags import OBJECT
from tests.conftest import FlagFile
from tests.factories import UserFactory, token_for
from tests.featureflags.api.ofrep.asking import ALL, ask, post
from tests.featureflags.api.using import use
from users.models import User

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("flag", "value", "reason", "variant"),
    [
        ("new-checkout", True, "TARGETING_MATCH", "0"),
        ("colour", "red", "STATIC", "0"),
        ("count", 3, "STATIC", "0"),
        ("ratio", 0.5, "STATIC", "0"),
        ("settings", OBJECT, "STATIC", "0"),
        ("off", False, "DISABLED", "1"),
        ("dependent", False, "DISABLED", "1"),
    ],
)
def test_values_and_reasons(ada: User, flag: str, value: Any, reason: str, variant: str) -> None:
    answer = ask(flag, ada.pk)
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("metadata")["reasonKind"]
    assert body == {"key": flag, "value": value, "reason": reason, "variant": variant}


def test_the_whole_reason_is_in_the_metadata(ada: User) -> None:
    assert ask("new-checkout", ada.pk).json()["metadata"] == {
        "reasonKind": "RULE_MATCH",
        "ruleIndex": 0,
        "ruleId": "rule-employee",
        "source": "database",
    }


def test_a_flag_without_a_value_leaves_the_caller_s_default(ada: User) -> None:
    body = ask("off-without-value", ada.pk).json()
    assert "value" not in body
    assert (body["reason"], body["variant"]) == ("DISABLED", "default")


@pytest.mark.parametrize(
    ("flag", "body", "status", "code"),
    [
        ("new-checkout", "{", 400, "PARSE_ERROR"),
        ("new-checkout", b"\xff", 400, "PARSE_ERROR"),
        ("new-checkout", "[" * 100_000, 400, "PARSE_ERROR"),
        ("new-checkout", '{"context": {"targetingKey": NaN}}', 400, "PARSE_ERROR"),
        ("new-checkout", [], 400, "PARSE_ERROR"),
        ("new-checkout", {}, 400, "TARGETING_KEY_MISSING"),
        ("new-checkout", {"context": {}}, 400, "TARGETING_KEY_MISSING"),
        ("new-checkout", {"context": {"targetingKey": ""}}, 400, "TARGETING_KEY_MISSING"),
        ("new-checkout", {"context": []}, 400, "INVALID_CONTEXT"),
        ("new-checkout", {"context": {"targetingKey": 5}}, 400, "INVALID_CONTEXT"),
        ("new-checkout", {"context": {"targetingKey": "x" * 257}}, 400, "INVALID_CONTEXT"),
        ("new-checkout", {"context": {"targetingKey": "ada@agpt.co"}}, 400, "INVALID_CONTEXT"),
        ("new-checkout", {"context": {"targetingKey": "x", "kind": "?"}}, 400, "INVALID_CONTEXT"),
        ("new-checkout", {"context": {"targetingKey": "x", "kind": []}}, 400, "INVALID_CONTEXT"),
        (
            "new-checkout",
            {"context": {"targetingKey": "x", "anonymous": 1}},
            400,
            "INVALID_CONTEXT",
        ),
        ("new-checkout", {"context": {"targetingKey": "a\x00b"}}, 400, "PARSE_ERROR"),
        ("new-checkout", '{"context": {"targetingKey": "\\ud800"}}', 400, "PARSE_ERROR"),
        ("malformed", {"context": {"targetingKey": "x"}}, 400, "PARSE_ERROR"),
        ("no-such-flag", {"context": {"targetingKey": "x"}}, 404, "FLAG_NOT_FOUND"),
        ("a%2Fb", {"context": {"targetingKey": "x"}}, 404, "FLAG_NOT_FOUND"),
        ("a/b", {"context": {"targetingKey": "x"}}, 404, "FLAG_NOT_FOUND"),
        ("new-checkout/", {"context": {"targetingKey": "x"}}, 404, "FLAG_NOT_FOUND"),
        ("x" * 5000, {"context": {"targetingKey": "x"}}, 404, "FLAG_NOT_FOUND"),
    ],
)
def test_failures(flag: str, body: Any, status: int, code: str) -> None:
    answer = post(f"{ALL}/{flag}", body)
    assert answer.status_code == status
    assert answer.json()["errorCode"] == code
    assert isinstance(answer.json()["key"], str)
    assert answer.json()["errorDetails"]
    if status == 400 and flag != "malformed":
        every = post(ALL, body)
        assert (every.status_code, every.json()["errorCode"]) == (400, code)
        assert "key" not in every.json()


def test_a_body_that_is_too_large_is_413(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = ask("new-checkout", "x", padding="x" * 1000)
    assert (answer.status_code, answer.json()["errorCode"]) == (413, "GENERAL")


def test_who_has_no_key_gets_401_and_a_session_is_not_one(ada: User) -> None:
    for token in ("", "nonsense"):
        answer = post(ALL, {"context": {"targetingKey": "x"}}, token)
        assert (answer.status_code, answer.json()["errorCode"]) == (401, "GENERAL")
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'
    client = Client()
    client.force_login(ada)
    assert client.post(ALL, "{}", content_type="application/json").status_code == 401


def test_the_other_header_is_served_too(ada: User) -> None:
    body = {"context": {"targetingKey": str(ada.pk)}}
    answer = Client().post(
        ALL, json.dumps(body), content_type="application/json", headers={"X-API-Key": token_for()}
    )
    assert answer.status_code == 200


def test_too_many_calls_are_429(settings: Any, ada: User) -> None:
    use(settings, THROTTLE_KEY=1)
    throttling.forget_counts()
    token = token_for()
    assert ask("colour", ada.pk, token).status_code == 200
    answer = ask("colour", ada.pk, token)
    assert (answer.status_code, answer.json()["errorCode"]) == (429, "GENERAL")
    assert answer["Retry-After"].isdecimal()


def test_without_flags_it_is_500(settings: Any) -> None:
    use(settings, SOURCE="offline")
    one = ask("new-checkout", "x")
    assert (one.status_code, one.json()["errorCode"]) == (500, "GENERAL")
    every = post(ALL, {"context": {"targetingKey": "x"}})
    assert (every.status_code, every.json()["errorCode"]) == (500, "GENERAL")


@pytest.mark.django_db(transaction=True)
def test_without_the_database_a_known_key_gets_answers(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, other = token_for(), token_for()
    before = ask("new-checkout", ada.pk, token).json()
    monkeypatch.setattr(keys, "FRESH_SECONDS", 0.0)

    def fail(*_args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(fail):
        assert ask("new-checkout", ada.pk, token).json()["value"] == before["value"]
        unknown = ask("new-checkout", ada.pk, other)
    assert (unknown.status_code, unknown["Retry-After"]) == (503, "5")
    assert unknown.json()["errorCode"] == "GENERAL"


class TestBulk:
    def body(self, user: User) -> dict[str, Any]:
        return {"context": {"targetingKey": str(user.pk)}}

    def test_every_flag_with_its_answer_or_its_failure(self, ada: User) -> None:
        found = post(ALL, self.body(ada)).json()
        by_key = {each["key"]: each for each in found["flags"]}
        assert by_key["new-checkout"]["value"] is True
        assert by_key["settings"]["value"] == OBJECT
        assert by_key["malformed"]["errorCode"] == "PARSE_ERROR"
        for key, one in by_key.items():
            if "errorCode" not in one:
                assert ask(key, ada.pk).json().get("value") == one.get("value")

    def test_what_has_not_changed_is_304(self, ada: User, flag_file: FlagFile) -> None:
        token = token_for()
        first = post(ALL, self.body(ada), token)
        etag = first["ETag"]
        for tag in (etag, f"W/{etag}", f'"x", {etag}'):
            again = post(ALL, self.body(ada), token, **{"If-None-Match": tag})
            assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
        other = UserFactory.create()
        changed = post(ALL, self.body(other), token, **{"If-None-Match": etag})
        assert changed.status_code == 200
        assert changed["ETag"] != etag

    @pytest.mark.django_db(transaction=True)
    def test_whether_the_cache_had_the_row_changes_no_tag(self, ada: User) -> None:
        token = token_for()
        snapshot_store.remove([name_of(str(ada.pk))])
        cold, warm = post(ALL, self.body(ada), token), post(ALL, self.body(ada), token)
        assert ask("new-checkout", ada.pk, token).json()["metadata"]["source"] == "cache"
        assert (cold["ETag"], cold.json()) == (warm["ETag"], warm.json())

    def test_a_flag_with_a_line_break_is_404_as_ofrep_has_it(self, ada: User) -> None:
        answer = ask("a%0Ab", ada.pk)
        assert (answer.status_code, answer.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")

    @pytest.mark.parametrize("tag", ["*", "nonsense", '"', "W/", "\u00e9", '"' + "9" * 5000 + '"'])
    def test_any_other_tag_is_answered_in_full(self, ada: User, tag: str) -> None:
        assert post(ALL, self.body(ada), **{"If-None-Match": tag}).status_code == 200

    def test_no_cache_keeps_it(self, ada: User) -> None:
        answer = post(ALL, self.body(ada))
        assert answer["Cache-Control"] == "private, no-store"
        assert {"Authorization", "Origin"} <= set(answer["Vary"].split(", "))


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head"])
def test_other_methods_are_405(method: str) -> None:
    answer = getattr(Client(), method)(ALL, headers={"authorization": f"Bearer {token_for()}"})
    assert answer.status_code == 405
