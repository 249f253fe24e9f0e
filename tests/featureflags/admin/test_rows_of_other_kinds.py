"""The admin's page of a row of another kind: what LaunchDarkly gets, its segments, its flags, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from featureflags.kinds import Kind, Text
from featureflags.kinds.compiled import CompiledKind
from featureflags.models import SegmentMember
from tests.conftest import FlagFile
from tests.customers.models import Company, Device
from tests.customers.organizations import ORGANIZATION, OrganizationKind, declared_beside_users
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services import flag_json

ON_SEATS = flag_json.boolean_flag(
    "seat-planner",
    rules=[
        flag_json.rule(
            {**flag_json.clause("seats", "greaterThan", 50), "contextKind": ORGANIZATION}
        )
    ],
)
HALF = flag_json.boolean_flag(
    "half", fallthrough={**flag_json.rollout(50_000, 50_000), "contextKind": ORGANIZATION}
)
AFTER = flag_json.boolean_flag("after", prerequisites=[flag_json.prerequisite("seat-planner")])
TESTED = flag_json.boolean_flag(
    "tested",
    rules=[
        flag_json.rule({**flag_json.clause("segments", "in", "large"), "contextKind": ORGANIZATION})
    ],
)


@pytest.fixture(autouse=True)
def confirmed(settings: Any) -> None:
    """Nothing moves more than is allowed."""
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "CONFIRM_PERCENT": 100}


@pytest.fixture
def root(db: None, client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


@pytest.fixture
def acme(organizations: CompiledKind, db: None, flag_file: FlagFile) -> Company:
    flag_file(ON_SEATS, HALF, AFTER, TESTED)
    rules = [rule(clause("seats", "greaterThan", 50))]
    SegmentFactory.create(key="large", name="Large", kind=ORGANIZATION, rules=rules)
    SegmentFactory.create(key="tiny", name="Tiny", kind=ORGANIZATION, rules=[])
    return Company.objects.create(name="Acme", seats=70, revenue=1.5)


def answer(client: Client, name: str, *args: object) -> Any:
    return client.get(reverse(f"admin:featureflags_{name}", args=args))


def page(client: Client, name: str, *args: object) -> str:
    found = answer(client, name, *args)
    assert found.status_code == 200, found
    text: str = found.content.decode()
    return text


def test_context_segments_and_flags(root: Client, acme: Company) -> None:
    text = page(root, "rowcontext", ORGANIZATION, acme.pk)
    assert "Segments and flags of Acme" in text
    assert "<code>70</code>" in text
    assert "User key" not in text
    assert "user" not in text[text.index('id="changes"') : text.index('id="attributes"')]
    shown = answer(root, "rowcontext", ORGANIZATION, acme.pk).context
    assert [row.key for row in shown["inside"].rows] == ["large"]
    assert [row.key for row in shown["outside"].rows] == ["tiny"]
    assert {row.key: row.value for row in shown["flags"]}["seat-planner"] == "true"
    why = reverse("admin:featureflags_why_flag_for", args=[ORGANIZATION, "seat-planner", acme.pk])
    assert f'href="{why}"' in text
    why = reverse("admin:featureflags_why_segment", args=["large", acme.pk])
    assert f'href="{why}"' in text


def test_what_changes_by_itself(root: Client, acme: Company) -> None:
    Company.objects.filter(pk=acme.pk).update(founded="2020-01-01")
    rules = [rule(clause("age_days", "greaterThan", 36_500))]
    SegmentFactory.create(key="old", name="Old", kind=ORGANIZATION, rules=rules)
    [change] = answer(root, "rowcontext", ORGANIZATION, acme.pk).context["changes"]
    assert change.entering == ("old",)
    assert "36501" in change.causes[0]


def test_why_a_flag(root: Client, acme: Company) -> None:
    text = page(root, "why_flag_for", ORGANIZATION, "seat-planner", acme.pk)
    assert "Why is seat-planner true for Acme?" in text
    assert "70" in text
    assert reverse("admin:featureflags_rowcontext", args=[ORGANIZATION, acme.pk]) in text
    text = page(root, "why_flag_for", ORGANIZATION, "tested", acme.pk)
    assert "Acme is in “large”: rule 1 matches." in text
    assert answer(root, "why_flag_for", ORGANIZATION, "none", acme.pk).status_code == 404


def test_why_a_rollout_by_organizations(root: Client, acme: Company) -> None:
    text = page(root, "why_flag_for", ORGANIZATION, "half", acme.pk)
    assert "by key of the organization" in text
    assert "The organization falls at" in text
    user = UserFactory.create()
    assert "There is no context of the kind organization" in page(root, "why_flag", "half", user.pk)


def test_why_a_prerequisite(root: Client, acme: Company) -> None:
    text = page(root, "why_flag_for", ORGANIZATION, "after", acme.pk)
    first = reverse("admin:featureflags_why_flag_for", args=[ORGANIZATION, "seat-planner", acme.pk])
    assert f'href="{first}"' in text, "it is explained for the same row"


def test_pages_lead_to_it(root: Client, acme: Company) -> None:
    own = reverse("admin:featureflags_rowcontext", args=[ORGANIZATION, acme.pk])
    segment = SegmentFactory.create(key="named", name="Named", kind=ORGANIZATION, rules=[])
    address = reverse("admin:featureflags_segment_by_name", args=["named"])
    assert root.post(address, {"row": "Acme", "kind": "include"}).status_code == 302
    assert SegmentMember.objects.filter(segment=segment).count() == 1
    for name, key in (
        ("segment_members", "large"),
        ("segment_by_name", "named"),
        ("segment_changes", "named"),
    ):
        assert f'href="{own}"' in page(root, name, key), name
    assert f'href="{own}"' in page(root, "why_segment", "large", acme.pk)
    preview = root.post(reverse("admin:featureflags_preview"), {"segment": "large"})
    assert f'href="{own}"' in preview.content.decode()


def test_the_search_takes_a_kind(root: Client, acme: Company) -> None:
    search = reverse("admin:featureflags_why")
    assert "organization:…" in root.get(search).content.decode()
    found = root.post(search, {"about": "flag:half", "user": "organization: acme"})
    assert found["Location"] == reverse(
        "admin:featureflags_why_flag_for", args=[ORGANIZATION, "half", acme.pk]
    )
    found = root.post(search, {"about": "flag:half", "user": "organization:nothing"})
    assert "None of the companies has this key" in found.content.decode()


def test_the_search_finds_rows_of_what_it_is_about(root: Client, acme: Company) -> None:
    """For a segment those of its kind, for a flag all: it answers each."""
    search = reverse("admin:featureflags_why")
    asked = root.get(search, {"about": "segment:large"}).context["form"]
    assert asked.fields["user"].label == "Company"
    found = root.post(search, {"about": "segment:large", "user": "cm"})
    assert found["Location"] == reverse("admin:featureflags_why_segment", args=["large", acme.pk])
    own = reverse("admin:featureflags_why_flag_for", args=[ORGANIZATION, "half", acme.pk])
    assert root.post(search, {"about": "flag:half", "user": "cm"})["Location"] == own
    Company.objects.create(name="Acme Two")
    person = UserFactory.create(name="Jo Acme", email="jo@example.com")
    found = root.post(search, {"about": "segment:large", "user": "cme"})
    assert [one.person.name for one in found.context["candidates"]] == ["Acme", "Acme Two"]
    found = root.post(search, {"about": "flag:half", "user": "cme"})
    first, *others = found.context["candidates"]
    assert (first.person.name, first.kind) == ("Jo Acme", "user")
    assert [(one.person.name, one.kind) for one in others] == [
        ("Acme", "company"),
        ("Acme Two", "company"),
    ]
    chosen = {"about": "flag:half", "user": ["cme", others[0].value]}
    assert root.post(search, chosen)["Location"] == own, "the choice says of which kind"
    chosen = {"about": "flag:half", "user": ["cme", first.value]}
    assert root.post(search, chosen)["Location"] == reverse(
        "admin:featureflags_why_flag", args=["half", person.pk]
    )
    found = root.post(search, {"about": "flag:half", "user": "ACME"})
    assert found["Location"] == own, "the whole name goes before a part of one"


def test_only_for_those_who_may_see_the_kind(client: Client, acme: Company) -> None:
    viewer = UserFactory.create(is_staff=True)
    names = ["view_segment", "view_user"]
    viewer.user_permissions.add(*Permission.objects.filter(codename__in=names))
    client.force_login(viewer)
    search = reverse("admin:featureflags_why")
    asked = client.post(search, {"about": "flag:half", "user": "organization:acme"})
    assert asked.status_code == 403
    for name, args in (
        ("rowcontext", [ORGANIZATION, acme.pk]),
        ("rowcontext", [ORGANIZATION, 999]),
        ("why_flag_for", [ORGANIZATION, "half", acme.pk]),
        ("why_segment", ["large", acme.pk]),
    ):
        assert answer(client, name, *args).status_code == 403, name
    viewer.user_permissions.set(
        Permission.objects.filter(codename__in=["view_segment", "view_company"])
    )
    assert answer(client, "rowcontext", ORGANIZATION, acme.pk).status_code == 200
    assert answer(client, "usercontext", viewer.pk).status_code == 403
    UserFactory.create(name="Jo Acme")
    found = client.post(search, {"about": "flag:half", "user": "cme"})
    assert "organization" in found["Location"], "users are not seen and not found"
    assert search in page(client, "flag", "half")
    viewer.user_permissions.set(Permission.objects.filter(codename="view_segment"))
    assert client.get(search).status_code == 403


def test_rows_and_kinds_that_there_are_not(root: Client, acme: Company) -> None:
    assert answer(root, "rowcontext", ORGANIZATION, 999).status_code == 404
    assert answer(root, "rowcontext", "planet", 1).status_code == 404
    assert answer(root, "why_flag_for", "planet", "half", 1).status_code == 404


class DeviceKind(Kind):
    name = "device"
    model = Device
    title = "label"

    label_ = Text("label")


@pytest.fixture
def devices() -> Iterator[CompiledKind]:
    with declared_beside_users(OrganizationKind, DeviceKind) as (_organizations, found):
        yield found


@pytest.mark.parametrize("serial", ["A/1", "a_b?c=d#e", "50%", "Ж 1", "x/../y", "_2F"])
def test_any_text_may_be_a_key(root: Client, devices: CompiledKind, serial: str) -> None:
    Device.objects.create(serial=serial, label="Beamer")
    rules = [rule(clause("label", "in", "Beamer"))]
    SegmentFactory.create(key="beamers", name="Beamers", kind="device", rules=rules)
    own = reverse("admin:featureflags_rowcontext", args=["device", serial])
    assert f'href="{own}"' in page(root, "segment_members", "beamers")
    shown = root.get(own)
    assert shown.context["person"].key == serial
    assert [row.key for row in shown.context["inside"].rows] == ["beamers"]
    assert page(root, "why_segment", "beamers", serial)
