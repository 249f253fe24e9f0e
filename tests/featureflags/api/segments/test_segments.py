"""Segments over REST: reading, writing, and who may."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from featureflags.evaluation.resolve import contexts_for
from featureflags.models import Segment
from tests.factories import (
    SegmentFactory,
    SegmentMemberFactory,
    UserFactory,
    clause,
    rule,
    staff_with,
)
from tests.featureflags.api.segments.some import PAYING, URL
from tests.users.api.conftest import Caller
from users.models import User

pytestmark = pytest.mark.django_db


def test_a_list_of_segments(root: APIClient) -> None:
    body = root.get(URL, {"page_size": 3}).json()
    assert body["count"] == 7
    assert [item["key"] for item in body["results"]] == ["admin", "employee", "established_user"]


def test_filters_search_and_ordering(root: APIClient) -> None:
    SegmentFactory.create(key="a.b-c_d", name="Zebra", is_active=False)

    def keys(**query: str) -> list[str]:
        return [item["key"] for item in root.get(URL, query).json()["results"]]

    assert keys(is_active="false") == ["a.b-c_d"]
    assert keys(search="zebra") == ["a.b-c_d"]
    assert keys(ordering="-name")[0] == "a.b-c_d"
    assert root.get(URL, {"is_active": "maybe"}).status_code == 400


def test_a_search_finds_what_the_admin_finds(root: APIClient) -> None:
    city = clause("custom_city", "in", 'Mün"chen')
    SegmentFactory.create(
        key="south", name="The sunny south", rules=[rule(city, description="Alps")]
    )
    SegmentFactory.create(key="pros", rules=[rule(clause("last_seen_at", "inLast", "P14D"))])
    changelist = reverse("admin:featureflags_segment_changelist")
    client = Client()
    client.force_login(UserFactory.create(superuser=True))
    for text, wanted in {
        'Mün"chen': {"south"},
        "alps": {"south"},
        "custom_city": {"south"},
        "Last seen": {"pros"},
        "south sunny": {"south"},
        '"sunny south"': {"south"},
        '"south sunny"': set(),
        "sunny alps": set(),
        "P14D": {"pros"},
        "nothing like it": set(),
    }.items():
        found = root.get(URL, {"search": text}).json()["results"]
        assert {item["key"] for item in found} == wanted, text
        page = client.get(changelist, {"q": text})
        assert {one.key for one in page.context["cl"].result_list} == wanted, text
    everybody = root.get(URL).json()["count"]
    assert root.get(URL, {"search": " "}).json()["count"] == everybody


def test_one_segment_by_its_key(root: APIClient) -> None:
    segment = SegmentFactory.create(key="a.b-c_d", rules=PAYING)
    body = root.get(f"{URL}a.b-c_d/").json()
    assert (body["key"], body["version"], body["warnings"]) == ("a.b-c_d", 1, [])
    assert body["rules"] == segment.rules
    assert root.get(f"{URL}no-such/").status_code == 404


def test_a_segment_is_made_changed_and_deleted(root: APIClient) -> None:
    made = root.post(URL, {"key": "paying", "name": "Paying", "rules": PAYING})
    assert (made.status_code, made.json()["version"]) == (201, 1)
    user = UserFactory.create(metadata={"plan": "pro"})
    assert "paying" in contexts_for([str(user.pk)])[str(user.pk)].segments
    changed = root.patch(f"{URL}paying/", {"is_active": False})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert changed.json()["rules"] == PAYING
    assert "paying" not in contexts_for([str(user.pk)])[str(user.pk)].segments
    put = {"key": "paying", "name": "Payers", "rules": []}
    assert root.put(f"{URL}paying/", put).json()["rules"] == []
    assert root.delete(f"{URL}paying/").status_code == 204
    assert not Segment.objects.filter(key="paying").exists()


def test_a_change_writes_only_its_own_fields(root: APIClient) -> None:
    SegmentFactory.create(key="paying", rules=PAYING)
    with CaptureQueriesContext(connection) as queries:
        root.patch(f"{URL}paying/", {"name": "Payers"})
    table = 'UPDATE "featureflags_segment"'
    updates = [query["sql"] for query in queries if query["sql"].startswith(table)]
    assert len(updates) == 1
    assert '"rules"' not in updates[0]


@pytest.mark.django_db(transaction=True)
def test_a_list_may_be_a_minute_old_but_one_segment_never(root: APIClient) -> None:
    SegmentFactory.create(key="paying")

    def asked(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert root.get(url).status_code == 200
        return sum('FROM "featureflags_segment" ' in query["sql"] for query in queries)

    assert asked(URL) > 0
    assert asked(URL) == 0
    for _ in range(2):
        assert asked(f"{URL}paying/") == 1
        assert asked(f"{URL}paying/members/") >= 1


def test_what_was_read_can_be_written_back(root: APIClient) -> None:
    SegmentFactory.create(key="paying", rules=PAYING)
    read = root.get(f"{URL}paying/").json()
    assert root.put(f"{URL}paying/", read).status_code == 200


def test_a_write_warns_of_rules_on_user_written_attributes(root: APIClient) -> None:
    rules = [*PAYING, rule(clause("email_domain", "in", "agpt.co"))]
    made = root.post(URL, {"key": "staff", "name": "Staff", "rules": rules})
    assert made.status_code == 201
    assert [warning[:7] for warning in made.json()["warnings"]] == ["Rule 2:"]


def test_a_segment_that_another_names_stays(root: APIClient) -> None:
    SegmentFactory.create(key="one")
    SegmentFactory.create(key="two", rules=[rule(clause("", "segmentMatch", "one"))])
    answer = root.delete(f"{URL}one/")
    assert answer.status_code == 409
    assert "two" in answer.json()["detail"]
    assert Segment.objects.filter(key="one").exists()


CALLS = [
    ("get", "", "view_segment", 200),
    ("get", "paying/", "view_segment", 200),
    ("post", "", "add_segment", 201),
    ("patch", "paying/", "change_segment", 200),
    ("delete", "paying/", "delete_segment", 204),
    ("get", "paying/members/", "view_segmentmember", 200),
    ("get", "paying/members/{user}/", "view_segmentmember", 200),
    ("post", "paying/members/", "add_segmentmember", 201),
    ("patch", "paying/members/{user}/", "change_segmentmember", 200),
    ("delete", "paying/members/{user}/", "delete_segmentmember", 204),
]


@pytest.mark.parametrize(("method", "path", "permission", "status"), CALLS)
def test_each_call_takes_staff_with_its_permission(
    by_session: Caller, method: str, path: str, permission: str, status: int
) -> None:
    member = SegmentMemberFactory.create(segment=SegmentFactory.create(key="paying"))
    url = URL + path.format(user=member.user_id)
    body: dict[str, Any] = {}
    if method == "post":
        other = UserFactory.create()
        body = {"user": str(other.pk)} if "members" in path else {"key": "k", "name": "K"}
    every = [entry[2] for entry in CALLS if entry[2] != permission]
    no_staff = staff_with(permission)
    User.objects.filter(pk=no_staff.pk).update(is_staff=False)

    def call(client: APIClient) -> int:
        code: int = getattr(client, method)(url, body).status_code
        return code

    assert call(APIClient()) == 401
    assert call(by_session(no_staff)) == 403
    assert call(by_session(staff_with(*every))) == 403
    assert call(by_session(staff_with(permission))) == status


def test_a_session_needs_the_csrf_token_to_write() -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(UserFactory.create(superuser=True))
    assert client.post(URL, {"key": "k", "name": "K"}).status_code == 403
    assert client.get(URL).status_code == 200


@pytest.mark.parametrize("path", ["", "paying/members/"])
def test_a_list_of_many_costs_as_much_as_one_of_few(root: APIClient, path: str) -> None:
    segment = SegmentFactory.create(key="paying")
    root.get(URL)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert len(root.get(URL + path).json()["results"]) >= 5
        return len(found)

    def more(count: int) -> None:
        SegmentFactory.create_batch(count, rules=PAYING)
        SegmentMemberFactory.create_batch(count, segment=segment)

    more(5)
    few = queries()
    more(20)
    assert queries() == few


def test_values_are_saved_as_users_have_them_with_a_remark(root: APIClient) -> None:
    mira = UserFactory.create(email="mira@agpt.co")
    capitals = [rule(clause("email", "in", "Mira@AGPT.co"))]
    made = root.post(URL, {"key": "mine", "name": "Mine", "rules": capitals})
    assert (made.status_code, made.json()["remarks"]) == (
        201,
        [
            'Rule 1, condition 1: "Mira@AGPT.co" is saved as "mira@agpt.co", since email is stored in'
            " lower case"
        ],
    )
    assert made.json()["rules"][0]["clauses"][0]["values"] == ["mira@agpt.co"]
    assert "mine" in contexts_for([str(mira.pk)])[str(mira.pk)].segments
    assert root.get(f"{URL}mine/").json()["remarks"] == []
    domain = [rule(clause("email_domain", "endsWith", "@AGPT.co"))]
    changed = root.patch(f"{URL}mine/", {"rules": domain, "confirm": True})
    assert changed.json()["rules"][0]["clauses"][0]["values"] == ["agpt.co"]
    assert len(changed.json()["remarks"]) == 1
    # The answer may be sent back as it is.
    again = root.put(f"{URL}mine/", changed.json())
    assert (again.status_code, again.json()["remarks"]) == (200, [])
    address = [rule(clause("email_domain", "in", "mira@agpt.co"))]
    refused = root.patch(f"{URL}mine/", {"rules": address})
    assert (refused.status_code, "a domain has no @" in str(refused.json())) == (400, True)
