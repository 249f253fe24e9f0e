"""The calls of the REST API, read at the server: what is sent, and what becomes of the answers."""

from __future__ import annotations

import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from featureflags.launchdarkly.rest import errors, transport
from featureflags.launchdarkly.rest.client import SEMANTIC_PATCH, ManagementClient
from featureflags.launchdarkly.rest.models import (
    AddRule,
    FlagEnvironment,
    NewClause,
    NewSegment,
    RemoveExcludedTargets,
    RemoveIncludedTargets,
    RemoveRule,
    UpdateName,
)
from featureflags.launchdarkly.rest.transport import Secret
from tests.featureflags.conftest import IMPATIENT
from tests.services.launchdarkly_api import LaunchDarklyApiServer
from tests.services.launchdarkly_segments import clause

BETA = NewSegment(key="beta", name="Beta testers", description="Those who dare", tags=("guidon",))
BETA_CLAUSE = NewClause(
    context_kind="user", attribute="segments", op="in", negate=False, values=("beta",)
)
BETA_RULE = AddRule(clauses=(BETA_CLAUSE,), description="kept")


def test_the_token_and_the_version_travel_with_each_call(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    rest.create_segment(BETA)
    rest.segment("beta")
    rest.delete_segment("beta")
    list(rest.segments())
    assert [each.headers["Authorization"] for each in api.requests()] == [api.token] * 4
    assert {each.headers["LD-API-Version"] for each in api.requests()} == {"20240415"}


def test_a_segment_is_created_with_its_tag(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    created = rest.create_segment(BETA)
    assert (created.key, created.name, created.tags) == ("beta", "Beta testers", ("guidon",))
    (request,) = api.requests()
    assert (request.method, request.path) == ("POST", "/api/v2/segments/default/test")
    assert request.headers["Content-Type"] == "application/json"
    assert request.body == {
        "key": "beta",
        "name": "Beta testers",
        "description": "Those who dare",
        "tags": ["guidon"],
    }


def test_a_semantic_patch_has_its_content_type(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    api.store.put("beta")
    patched = rest.patch_segment("beta", [BETA_RULE, UpdateName(value="New")], comment="why")
    (request,) = api.requests()
    assert (request.method, request.path) == ("PATCH", "/api/v2/segments/default/test/beta")
    assert request.headers["Content-Type"] == SEMANTIC_PATCH
    assert request.body == {
        "environmentKey": "test",
        "comment": "why",
        "instructions": [
            {
                "kind": "addRule",
                "description": "kept",
                "clauses": [clause("segments", "in", "beta")],
            },
            {"kind": "updateName", "value": "New"},
        ],
    }
    assert patched.name == "New"
    assert patched.rules is not None
    (rule,) = patched.rules
    assert rule.clauses is not None
    (shown,) = rule.clauses
    assert (shown.attribute, shown.op, shown.values) == ("segments", "in", ("beta",))


def test_rules_and_targets_are_removed(api: LaunchDarklyApiServer, rest: ManagementClient) -> None:
    kept = {"contextKind": "org", "values": ["acme"]}
    api.store.put(
        "beta",
        clause("email", "endsWith", ".edu"),
        included=["ada", "bob"],
        excluded=["eve"],
        includedContexts=[kept],
    )
    rules = rest.segment("beta").rules
    assert rules is not None
    assert rules[0].id is not None
    patched = rest.patch_segment(
        "beta",
        [
            RemoveRule(rule_id=rules[0].id),
            RemoveIncludedTargets(context_kind="user", values=("ada",)),
            RemoveExcludedTargets(context_kind="user", values=("eve",)),
        ],
        comment="",
    )
    assert (patched.rules, patched.included, patched.excluded) == ((), ("bob",), ())
    assert patched.included_contexts is not None
    assert patched.included_contexts[0].values == ("acme",)


def test_all_pages_are_read(api: LaunchDarklyApiServer, rest: ManagementClient) -> None:
    keys = [f"segment-{number:03}" for number in range(120)]
    for key in keys:
        api.store.put(key)
    assert [segment.key for segment in rest.segments()] == keys
    assert [each.query.get("offset") for each in api.requests()] == [None, ["50"], ["100"]]


def test_flags_come_page_by_page_with_their_dates_in_the_environment(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    for number in range(60):
        environments = {name: {"version": number, "lastModified": 7} for name in ("test", "prod")}
        api.flags[f"flag-{number:02}"] = {
            "key": f"flag-{number:02}",
            "archived": number == 3,
            "creationDate": 5,
            "environments": environments,
        }
    found = list(rest.flags())
    assert [flag.key for flag in found] == [f"flag-{n:02}" for n in range(60) if n != 3]
    environment = FlagEnvironment(version=59, last_modified=7)
    assert (found[-1].creation_date, found[-1].environments) == (5, {"test": environment})
    assert [each.query.get("env") for each in api.requests()] == [["test"], ["test"]]


def test_a_link_to_another_server_gets_no_token(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    for number in range(60):
        api.store.put(f"segment-{number}")
    with LaunchDarklyApiServer() as thief:
        api.next_link = f"{thief.url}/api/v2/segments/default/test?offset=50"
        with pytest.raises(errors.UnexpectedAnswerError, match="another server"):
            list(rest.segments())
        assert thief.requests() == []


def test_pages_that_lead_in_a_circle_end(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    for number in range(60):
        api.store.put(f"segment-{number}")
    api.next_link = "/api/v2/segments/default/test?limit=50&offset=0"
    with pytest.raises(errors.UnexpectedAnswerError, match="does not end"):
        list(rest.segments())
    assert len(api.requests()) == 2


@pytest.mark.parametrize("key", ["a/b", "../x", "ü", "a?b", "a b"])
def test_a_key_stays_one_part_of_the_path(
    api: LaunchDarklyApiServer, rest: ManagementClient, key: str
) -> None:
    api.store.put(key)
    assert rest.segment(key).key == key


@pytest.mark.parametrize("key", ["", ".", ".."])
def test_an_invalid_key_is_not_sent(
    api: LaunchDarklyApiServer, rest: ManagementClient, key: str
) -> None:
    with pytest.raises(errors.InvalidRequestError, match="is not a key"):
        rest.delete_segment(key)
    assert api.requests() == []


def test_a_redirect_is_not_followed(api: LaunchDarklyApiServer, rest: ManagementClient) -> None:
    with LaunchDarklyApiServer() as other:
        api.answer(302, headers={"Location": f"{other.url}/api/v2/segments/default/test/x"})
        with pytest.raises(errors.UnexpectedAnswerError):
            rest.segment("x")
        assert other.requests() == []


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"key": 5, "name": "x"}',
        b'{"name": "x"}',
        b"[]",
        b"\xff",
        b'{"key":"x","name":"x","tags":"guidon"}',
    ],
)
def test_an_answer_of_another_shape_is_an_error_of_ours(
    api: LaunchDarklyApiServer, rest: ManagementClient, body: bytes
) -> None:
    api.answer(200, body=body)
    with pytest.raises(errors.UnexpectedAnswerError, match="another shape"):
        rest.segment("x")
    assert len(api.requests()) == 1


def test_lists_that_come_as_null_are_read(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    nothing = {"tags": None, "rules": None, "included": None, "excludedContexts": None}
    api.store.put("beta", **nothing)
    assert rest.segment("beta").rules is None
    assert [segment.key for segment in rest.segments()] == ["beta"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://app.launchdarkly.com", "unprotected"),
        ("app.launchdarkly.com", "not the address"),
        ("https://app.launchdarkly.com/api/v2", "without a path"),
        ("https://user@app.launchdarkly.com", "not the address"),
        ("ftp://127.0.0.1", "unprotected"),
    ],
)
def test_an_address_that_cannot_be_right_is_refused(url: str, message: str) -> None:
    with pytest.raises(errors.NotConfiguredError, match=message):
        ManagementClient(token=Secret("api-1"), url=url, project="p", environment="e")


@pytest.mark.parametrize("token", ["", "api-1\n", "api 1", "api-ü", "api-1\x00"])
def test_a_token_that_cannot_be_right_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(errors.NotConfiguredError) as caught:
        ManagementClient(
            token=Secret(token), url="https://ld.example", project="p", environment="e"
        )
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_an_answer_without_end_is_not_read_to_its_end(
    is_compressed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent is counted: a bounded part, of a body that would fill the memory."""
    sent = [0]
    part = b" " * 2**16
    squeeze = zlib.compressobj(wbits=31)

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            if is_compressed:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            try:
                while sent[0] < 64 * transport.MOST_BYTES:
                    data = squeeze.compress(part) if is_compressed else part
                    self.wfile.write(data)
                    sent[0] += len(part)
            except OSError:
                pass

        def log_message(self, *_args: object) -> None:
            pass

    monkeypatch.setattr(transport, "MOST_BYTES", 2**20)
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with (
            ManagementClient(
                token=Secret("api-x"), url=url, project="p", environment="e", policy=IMPATIENT
            ) as client,
            pytest.raises(errors.UnexpectedAnswerError, match="larger than 1 MiB"),
        ):
            client.segment("beta")
        server.shutdown()
    if not is_compressed:
        assert sent[0] < 32 * 2**20
