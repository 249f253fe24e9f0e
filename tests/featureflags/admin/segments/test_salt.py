"""The salt of a segment in the admin: whom a percentage takes, changed with its numbers before it is saved."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from featureflags.models import HistoryEntry, Segment, SegmentDraft
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.admin.asking import answer, is_asked
from users.models import User

pytestmark = pytest.mark.django_db

HALF = [rule(clause("custom_plan", "in", "pro"), weight=50_000)]
PREVIEW = reverse("admin:featureflags_preview")
TRY = reverse("admin:featureflags_preview_person")


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


@pytest.fixture(autouse=True)
def half() -> Segment:
    UserFactory.create_batch(60, metadata={"plan": "pro"})
    segment: Segment = SegmentFactory.create(key="half", name="Half", rules=HALF, salt="one")
    return segment


def page_of(segment: Segment) -> str:
    return reverse("admin:featureflags_segment_change", args=[segment.pk])


def form(segment: Segment, **fields: Any) -> dict[str, Any]:
    sent = {"name": segment.name, "is_active": "on", "rules": json.dumps(segment.rules)}
    return {**sent, "salt": segment.salt, "_version": segment.version, **fields}


def members() -> set[Any]:
    return set(User.objects.in_segment("half").values_list("pk", flat=True))


def test_another_salt_is_asked_about_and_draws_others(staff: Client, half: Segment) -> None:
    before = members()
    # Blanks count: a salt is taken as it is typed.
    question = staff.post(page_of(half), form(half, salt=" two "))
    assert is_asked(question)
    assert "Salt changed to" in question.content.decode()
    (shown,) = question.context["shown"]
    numbers = [int(moving.number.strip("+\u2212")) for moving in shown.moving]
    answer(staff, question)
    half.refresh_from_db()
    assert half.salt == " two "
    after = members()
    moved = HistoryEntry.objects.latest("pk")
    assert (moved.entering, moved.leaving) == (len(after - before), len(before - after))
    assert numbers == [moved.entering, moved.leaving]
    assert min(numbers) > 0


def test_it_is_kept_by_a_form_that_does_not_touch_it(staff: Client, half: Segment) -> None:
    Segment.objects.filter(pk=half.pk).update(salt=" one ")
    half.refresh_from_db()
    page = staff.get(page_of(half))
    fields = page.context["adminform"].form
    staff.post(page_of(half), form(half, name="Other", salt=fields["salt"].value()))
    half.refresh_from_db()
    assert (half.name, half.salt) == ("Other", " one ")


def test_the_preview_takes_the_salt_that_is_typed(staff: Client, half: Segment) -> None:
    sent = {"segment": "half", "rules": json.dumps(HALF), "is_active": "on"}
    assert "Nobody enters or leaves" in staff.post(PREVIEW, sent).content.decode()
    assert (
        "Nobody enters or leaves" in staff.post(PREVIEW, {**sent, "salt": "one"}).content.decode()
    )
    page = staff.post(PREVIEW, {**sent, "salt": "two"}).content.decode()
    assert "enter" in page
    assert "Nobody enters or leaves" not in page


def test_one_person_and_a_draft_are_drawn_with_it(staff: Client, half: Segment) -> None:
    before = members()
    Segment.objects.filter(pk=half.pk).update(salt="two")
    after = members()
    Segment.objects.filter(pk=half.pk).update(salt="one")
    sent = {"segment": "half", "rules": json.dumps(HALF), "is_active": "on"}
    enters, leaves = next(iter(after - before)), next(iter(before - after))
    for who, salt, wanted in (
        (enters, "two", "they would enter"),
        (leaves, "two", "they would leave"),
        (enters, "one", "the same"),
        (leaves, "one", "the same"),
    ):
        page = staff.post(TRY, {**sent, "salt": salt, "who": str(who)}).content.decode()
        assert wanted in page, (who, salt)
    keep = reverse("admin:featureflags_draft_keep")
    draft = staff.post(f"{keep}?segment=half", form(half, salt="two"), follow=True)
    assert f"+{len(after - before)} enter" in draft.content.decode()
    assert draft.context["editor"]["fields"]["salt"] == "two"
    token = SegmentDraft.objects.get().token
    people = staff.get(
        reverse("admin:featureflags_draft_people", args=[token]), {"show": "entering"}
    )
    assert people.content.decode().count("enters") >= len(after - before)


def test_a_new_segment_is_drawn_with_its_own_key_and_salt(staff: Client, half: Segment) -> None:
    sent = {"segment": "", "key": "half", "salt": "one", "is_active": "on"}
    inside = next(iter(members()))
    outside = User.objects.exclude(pk__in=members()).filter(metadata__plan="pro").first()
    assert outside is not None
    for who, wanted in ((inside, "is in “"), (outside.pk, "is not in “")):
        typed = {**sent, "rules": json.dumps(HALF), "who": str(who)}
        assert wanted in staff.post(TRY, typed).content.decode()


def test_two_people_who_change_it_at_once_are_shown_both(staff: Client, half: Segment) -> None:
    theirs = Segment.objects.get(pk=half.pk)
    theirs.salt = "theirs"
    theirs.save()
    conflict = staff.post(page_of(half), form(half, salt="mine"))
    assert [(one.field, one.theirs, one.mine) for one in conflict.context["conflict"].both] == [
        ("salt", ("theirs",), ("mine",))
    ]
    half.refresh_from_db()
    assert half.salt == "theirs"


def test_who_may_only_look_sees_it_where_a_rule_has_a_percentage(
    client: Client, half: Segment
) -> None:
    viewer = UserFactory.create(staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_segment"))
    client.force_login(viewer)
    assert "Percentages (advanced)" in client.get(page_of(half)).content.decode()
    half.rules = [rule(clause("custom_plan", "in", "pro"))]
    half.save()
    assert "Percentages (advanced)" not in client.get(page_of(half)).content.decode()
