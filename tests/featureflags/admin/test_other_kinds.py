"""The admin's pages for segments of another kind; with one kind they ask for nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from featureflags.kinds.compiled import CompiledKind
from featureflags.models import Segment, SegmentMember
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION
from tests.factories import SegmentFactory, UserFactory, clause, rule

LARGE = [rule(clause("seats", "greaterThan", 50))]
ADD = "admin:featureflags_segment_add"


@pytest.fixture(autouse=True)
def confirmed(settings: Any) -> None:
    """Nothing moves more than is allowed."""
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "CONFIRM_PERCENT": 100}


@pytest.fixture
def root(db: None, client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


@pytest.fixture
def acme(organizations: CompiledKind, db: None) -> Company:
    Company.objects.create(name="Small", seats=1)
    return Company.objects.create(name="Acme", seats=51)


@pytest.fixture
def segment(acme: Company) -> Segment:
    found: Segment = SegmentFactory.create(
        key="large", name="Large", kind=ORGANIZATION, rules=LARGE
    )
    return found


def text_of(answer: Any) -> str:
    assert isinstance(answer, HttpResponse), answer
    assert answer.status_code == 200, answer
    return answer.content.decode()


def page(root: Client, name: str, *args: object, **query: str) -> str:
    return text_of(root.get(reverse(f"admin:featureflags_{name}", args=args), query))


def vocabulary(text: str) -> Any:
    found = re.search(r'<script id="rules-vocabulary"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_with_one_kind_nobody_is_asked(root: Client) -> None:
    text = page(root, "segment_add")
    assert "field-kind" not in text
    assert 'name="rules"' in text
    assert "?kind=" not in text
    assert "column-kind" not in page(root, "segment_changelist")


def test_the_kind_is_chosen_first(root: Client, acme: Company) -> None:
    text = page(root, "segment_add")
    assert 'href="?kind=user"' in text
    assert 'href="?kind=organization"' in text
    assert 'name="rules"' not in text
    text = page(root, "segment_add", kind=ORGANIZATION)
    names = {each["name"] for each in vocabulary(text)["attributes"]}
    assert "seats" in names
    assert "email" not in names
    assert "/preview/?kind=organization" in text
    assert "field-kind" in text
    users = vocabulary(page(root, "segment_add", kind="user"))["attributes"]
    assert "email" in {each["name"] for each in users}


def test_a_segment_is_added_with_its_kind(root: Client, acme: Company) -> None:
    data = {"key": "large", "name": "Large", "is_active": "on", "rules": json.dumps(LARGE)}
    address = reverse(ADD) + f"?kind={ORGANIZATION}"
    answer = root.post(address, data)
    assert answer.status_code == 302
    assert Segment.objects.get(key="large").kind == ORGANIZATION
    listed = page(root, "segment_changelist", kind=ORGANIZATION)
    assert "large" in listed
    assert "column-kind" in listed
    assert "employee" not in listed


def test_the_editor_and_the_preview_are_of_the_kind(root: Client, segment: Segment) -> None:
    SegmentFactory.create(key="medium", name="Medium", kind=ORGANIZATION)
    text = page(root, "segment_change", segment.pk)
    known = vocabulary(text)
    assert "seats" in {each["name"] for each in known["attributes"]}
    assert [each["key"] for each in known["segments"]] == ["medium"]
    preview = reverse("admin:featureflags_preview")
    shown = text_of(root.post(preview, {"segment": "large"}))
    assert "1 of the companies" in shown
    assert "Acme" in shown
    rules = {"segment": "", "rules": json.dumps(LARGE), "is_active": "on"}
    assert "Acme" in text_of(root.post(preview + "?kind=organization", rules))
    assert "Acme" not in text_of(root.post(preview, rules))


def test_who_is_in_it_and_why(root: Client, segment: Segment, acme: Company) -> None:
    text = page(root, "segment_members", "large")
    assert "Acme" in text
    assert "Small" not in text
    why = page(root, "why_segment", "large", acme.pk)
    assert "Why is Acme in large?" in why
    small = Company.objects.get(name="Small")
    assert "Why is Small not in large?" in page(root, "why_segment", "large", small.pk)
    answer = root.post(
        reverse("admin:featureflags_why"), {"about": "segment:large", "user": "acme"}
    )
    assert answer["Location"] == reverse("admin:featureflags_why_segment", args=["large", acme.pk])
    csv = root.post(reverse("admin:featureflags_segment_export", args=["large"]))
    lines = b"".join(csv.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[0].endswith("key,name,in_by")
    assert lines[1] == f"{acme.pk},Acme,Rule 1"


def test_members_by_key_and_title(root: Client, segment: Segment, acme: Company) -> None:
    address = reverse("admin:featureflags_segment_by_name", args=["large"])
    small = Company.objects.get(name="Small")
    assert root.post(address, {"row": "Small", "kind": "include"}).status_code == 302
    assert SegmentMember.objects.get().key == str(small.pk)
    assert "Small" in page(root, "segment_by_name", "large")
    assert "Small" in page(root, "segment_by_name", "large", q="small")
    assert ">Small<" not in page(root, "segment_by_name", "large", q="nothing like it")
    assert "no organization" in text_of(root.post(address, {"row": "999", "kind": "include"}))
    Company.objects.create(name="Acme")
    assert "2 rows have this name" in text_of(
        root.post(address, {"row": "Acme", "kind": "include"})
    )
    csv = root.post(reverse("admin:featureflags_segment_by_name_export", args=["large"]))
    lines = b"".join(csv.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[1] == f"{small.pk},Small,include,,,"
    assert "Small" in page(root, "segment_changes", "large")
    member = SegmentMember.objects.get()
    assert str(small.pk) in page(root, "segmentmember_change", member.pk)
    assert f"organization:{small.pk}" in page(root, "segmentmember_changelist")
    root.post(address, {"user": str(small.pk), "_remove": "1"})
    assert not SegmentMember.objects.exists()


def test_a_list_is_imported(root: Client, segment: Segment, acme: Company) -> None:
    small = Company.objects.get(name="Small")
    address = reverse("admin:featureflags_segment_by_name_import", args=["large"])
    data = {"text": f"Acme\n{small.pk}", "kind": "exclude", "missing": "all", "others": "add"}
    answer = root.post(address, data)
    assert answer.status_code == 302, text_of(answer)
    keys = set(SegmentMember.objects.values_list("key", flat=True))
    assert keys == {str(acme.pk), str(small.pk)}


def test_it_takes_the_permission_to_see_the_kind(client: Client, segment: Segment) -> None:
    staff = UserFactory.create(is_staff=True)
    names = ["view_segment", "view_segmentmember", "view_user"]
    staff.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(staff)
    address = reverse("admin:featureflags_segment_members", args=["large"])
    assert client.get(address).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_company"))
    assert client.get(address).status_code == 200
