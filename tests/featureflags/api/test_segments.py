"""segments/ and their members over REST."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from featureflags.evaluation.resolve import contexts_for
from featureflags.models import Segment, SegmentMember
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.users.api.conftest import Caller
from users.models import User

URL = "/api/v1/segments/"
PAYING = [rule(clause("custom_plan", "in", "pro"), description="Paying")]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def a_quiet_site(flag_file: FlagFile) -> None:
    """No flag targets anything, and one user more or less is less than a tenth of all."""
    User.objects.bulk_create(User(email=f"crowd{n}@example.com") for n in range(300))


def staff_with(*permissions: str) -> User:
    user = UserFactory.create(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def root(by_session: Caller) -> APIClient:
    return by_session(UserFactory.create(superuser=True))


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


PROBLEMS = {
    "unknown attribute": (
        [rule(clause("email", "in", "a@x.io"), clause("shoe_size", "in", 1))],
        "Rule 1, condition 2: ",
    ),
    "unknown operator": ([rule(clause("email", "resembles", "x"))], "Rule 1, condition 1: "),
    "wrong type": ([rule(clause("is_staff", "in", "yes"))], "Rule 1, condition 1: "),
    "bad pattern": ([rule(clause("email", "matches", "("))], "Rule 1, condition 1: "),
    "empty rule": ([*PAYING, rule()], "Rule 2"),
    "no values": ([rule(clause("email", "in"))], "Rule 1, condition 1: "),
    "unknown segment": ([rule(clause("", "segmentMatch", "nope"))], "Rule 1, condition 1: "),
    "weight": ([rule(clause("email", "in", "x"), weight=1)], "Rule 1"),
    "no list": ({}, ""),
    "null": (None, ""),
    "text": ("[]", ""),
    "NUL": ([rule(clause("email", "in", "\x00"))], "Rule 1"),
    "lone surrogate": ([rule(clause("email", "in", "\ud800"))], "Rule 1"),
    "too deep": ([rule(clause("custom_x", "in", json.loads("[" * 400 + "]" * 400)))], "Rule 1"),
}


@pytest.mark.parametrize(("rules", "place"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_what_is_wrong_with_rules_is_said_by_its_place(
    root: APIClient, rules: Any, place: str
) -> None:
    body = json.dumps({"key": "paying", "name": "Paying", "rules": rules})
    answer = root.post(URL, body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    problems = answer.json()["errors"]["rules"]
    assert list(answer.json()["errors"]) == ["rules"]
    assert problems[0].startswith(place)
    assert not Segment.objects.filter(key="paying").exists()


def test_a_number_beyond_a_double_is_400(root: APIClient) -> None:
    rules = json.dumps([rule(clause("custom_n", "in", 7))]).replace("7", "1e999")
    body = f'{{"key": "paying", "name": "Paying", "rules": {rules}}}'
    answer = root.post(URL, body, content_type="application/json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["rules"])


def test_a_cycle_is_refused(root: APIClient) -> None:
    SegmentFactory.create(key="one")
    SegmentFactory.create(key="two", rules=[rule(clause("", "segmentMatch", "one"))])
    rules = [rule(clause("", "segmentMatch", "two"))]
    answer = root.patch(f"{URL}one/", {"rules": rules})
    assert answer.status_code == 400
    assert answer.json()["errors"]["rules"][0].startswith("Rule 1, condition 1: ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unbounded", True),
        ("included", ["ada"]),
        ("version", 99),
        ("warnings", ["none"]),
        ("is_active", "true"),
        ("name", 1),
        ("key", "employee"),
        ("key", "no spaces"),
    ],
)
def test_any_other_fault_is_named_too(root: APIClient, field: str, value: Any) -> None:
    answer = root.post(URL, {"key": "paying", "name": "Paying", field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_the_key_cannot_change(root: APIClient) -> None:
    SegmentFactory.create(key="paying")
    answer = root.patch(f"{URL}paying/", {"key": "payers"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["key"])


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


def test_members_are_added_shown_changed_and_removed(root: APIClient) -> None:
    SegmentFactory.create(key="paying")
    user = UserFactory.create()
    key = str(user.pk)
    until = timezone.now() + datetime.timedelta(days=1)
    body = {"user": key, "kind": "include", "reason": "VIP", "expires_at": until.isoformat()}
    made = root.post(f"{URL}paying/members/", body)
    assert made.status_code == 201, made.json()
    assert "paying" in contexts_for([key])[key].segments
    shown = root.get(f"{URL}paying/members/").json()["results"]
    assert [(item["user"], item["kind"], item["reason"]) for item in shown] == [
        (key, "include", "VIP")
    ]
    one = f"{URL}paying/members/{key}/"
    assert root.get(one).json() == shown[0]
    assert root.patch(one, {"kind": "exclude", "expires_at": None}).status_code == 200
    assert "paying" not in contexts_for([key])[key].segments
    assert root.get(f"{URL}paying/members/", {"kind": "include"}).json()["count"] == 0
    assert root.delete(one).status_code == 204
    assert not SegmentMember.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user": "00000000-0000-4000-8000-000000000000"}, "user"),
        ({"user": "nobody"}, "user"),
        ({"user": None}, "user"),
        ({"kind": "maybe"}, "kind"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"reason": 1}, "reason"),
        ({"segment": 1}, "segment"),
    ],
)
def test_a_member_that_makes_no_sense_is_400(
    root: APIClient, change: dict[str, Any], field: str
) -> None:
    SegmentFactory.create(key="paying")
    body = {"user": str(UserFactory.create().pk), "kind": "include", **change}
    answer = root.post(f"{URL}paying/members/", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_nobody_is_a_member_twice(root: APIClient) -> None:
    member = SegmentMemberFactory.create(segment=SegmentFactory.create(key="paying"))
    answer = root.post(f"{URL}paying/members/", {"user": str(member.user_id)})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["non_field_errors"]


def test_a_membership_stays_with_its_user(root: APIClient) -> None:
    member = SegmentMemberFactory.create(segment=SegmentFactory.create(key="paying"))
    url = f"{URL}paying/members/{member.user_id}/"
    assert root.patch(url, {"user": str(UserFactory.create().pk)}).status_code == 400
    assert root.patch(url, {"user": str(member.user_id), "reason": "same"}).status_code == 200


def test_members_of_another_segment_are_not_there(root: APIClient) -> None:
    member = SegmentMemberFactory.create()
    SegmentFactory.create(key="paying")
    assert root.get(f"{URL}paying/members/").json()["count"] == 0
    assert root.get(f"{URL}paying/members/{member.user_id}/").status_code == 404
    assert root.get(f"{URL}no-such/members/").status_code == 404
    body = {"user": str(member.user_id)}
    assert root.post(f"{URL}no-such/members/", body).status_code == 404


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
