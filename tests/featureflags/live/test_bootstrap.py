"""What a browser starts with: flags for browsers, no private attribute, a hash that LaunchDarkly accepts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.template import Context, Template
from django.test import Client, RequestFactory
from ldclient import Config, LDClient
from ldclient import Context as LaunchDarklyContext
from pytest_django.fixtures import Settings

from featureflags.evaluation import override_flag
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag, segment_rule, string_flag

pytestmark = pytest.mark.django_db

PATH = "/api/v1/bootstrap/"
SCRIPT = re.compile(r'<script id="([^"]+)" type="application/json">(.*)</script>', re.DOTALL)


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile, settings: Settings) -> None:
    flag_file(
        {**boolean_flag("for-pages", rules=[segment_rule("employee")]), "clientSide": True},
        {**string_flag("colour", ["<red>", "blue"]), "clientSide": True},
        boolean_flag("for-servers", rules=[segment_rule("employee")]),
    )
    use(settings, CLIENT_SIDE_ID="65f0c0ffee")


def asked(client: Client) -> dict[str, Any]:
    answer = client.get(PATH)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_flags_for_browsers_alone_as_the_user_gets_them(client: Client) -> None:
    user = UserFactory.create(employee=True, metadata={"plan": "pro"})
    client.force_login(user)
    found = asked(client)
    assert found["clientSideId"] == "65f0c0ffee"
    assert (found["flags"]["for-pages"], found["flags"]["colour"]) == (True, "<red>")
    assert "for-servers" not in json.dumps(found)
    assert found["flags"]["$valid"] is True
    assert found["flags"]["$flagsState"]["for-pages"]["variation"] == 0
    assert "reason" not in found["flags"]["$flagsState"]["for-pages"]


def test_the_context_holds_nothing_private_and_no_segment(client: Client) -> None:
    user = UserFactory.create(employee=True, name="Ada", metadata={"plan": "pro"})
    client.force_login(user)
    context = asked(client)["context"]
    assert (context["kind"], context["key"]) == ("user", str(user.pk))
    text = json.dumps(context)
    for hidden in (user.email, "Ada", "employee", "segment", "custom_plan", "_meta"):
        assert hidden not in text


def test_a_visitor_keeps_the_key_of_the_cookie(client: Client) -> None:
    first, second = asked(client), asked(client)
    assert first["context"]["anonymous"] is True
    assert first["context"]["key"] == second["context"]["key"]
    assert first["flags"]["for-pages"] is False


def test_the_hash_is_that_of_secure_mode(client: Client, settings: Settings) -> None:
    user = UserFactory.create()
    client.force_login(user)
    assert asked(client)["hash"] is None
    use(settings, SDK_KEY="sdk-secret", SOURCE="file")
    sdk = LDClient(Config("sdk-secret", offline=True))
    try:
        wanted = sdk.secure_mode_hash(LaunchDarklyContext.create(str(user.pk)))
    finally:
        sdk.close()
    assert asked(client)["hash"] == wanted


def test_polling_is_answered_with_304_until_something_changes(client: Client) -> None:
    user = UserFactory.create(employee=True)
    client.force_login(user)
    # The first request of a while writes when the user was last seen, which is an attribute.
    client.get(PATH)
    etag = client.get(PATH)["ETag"]
    for sent in (etag, f"W/{etag}", f'"x", {etag}'):
        assert client.get(PATH, headers={"If-None-Match": sent}).status_code == 304
    user.email_verified = False
    user.save()
    answer = client.get(PATH, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.json()["flags"]["for-pages"]) == (200, False)


def test_a_forced_value_is_shown_and_claims_no_variation(client: Client) -> None:
    with override_flag("for-pages", True):
        found = asked(client)
    assert found["flags"]["for-pages"] is True


def test_the_tag_writes_the_same_into_a_page(rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = UserFactory.create(employee=True)
    page = Template("{% load featureflags %}{% flags_bootstrap %}").render(
        Context({"request": request})
    )
    found = SCRIPT.fullmatch(page)
    assert found is not None
    assert found[1] == "guidon-flags"
    assert "<red>" not in page
    written = json.loads(found[2])
    assert written["flags"]["colour"] == "<red>"
    assert written["context"]["key"] == str(request.user.pk)
    named = Template('{% load featureflags %}{% flags_bootstrap "own" %}').render(Context())
    found = SCRIPT.fullmatch(named)
    assert found is not None
    assert (found[1], json.loads(found[2])["context"]["key"]) == ("own", "anonymous")
