"""What each scope, and what a list of flags, kinds and origins opens."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission

from featureflags.models import Scope
from tests.factories import SegmentFactory, UserFactory, staff_with, token_for
from tests.featureflags.api.keys.callers import FLAGS, ME, SEGMENTS, caller

pytestmark = pytest.mark.django_db


def test_a_key_that_reads_reads_what_its_owner_may_and_writes_nothing() -> None:
    SegmentFactory.create(key="s")
    client = caller(token_for(staff_with("view_segment", "change_segment"), Scope.READ))
    assert client.get(SEGMENTS).status_code == 200
    assert client.get(ME).status_code == 200
    refused = client.patch(f"{SEGMENTS}s/", {"name": "New"})
    assert refused.status_code == 403
    assert "write" in refused.json()["detail"]
    assert client.patch(ME, {"name": "New"}).status_code == 403


def test_a_key_that_writes_does_only_what_its_owner_may() -> None:
    SegmentFactory.create(key="s")
    looker = staff_with("view_segment")
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
