"""Somebody else has saved in between: what they did is said, and nothing is overwritten unseen."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from featureflags.admin.segments.conflict import Conflict
from featureflags.models import Segment, StaleSegment
from featureflags.models.changesets import open_changeset
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.admin.asking import answer, is_asked
from users.models import User

pytestmark = pytest.mark.django_db

PRO = [rule(clause("custom_plan", "in", "pro"))]
TEAM = [rule(clause("custom_plan", "in", "team"))]
BOTH = [rule(clause("custom_plan", "in", "pro", "team"))]


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> None:
    flag_file()


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


@pytest.fixture
def ada() -> User:
    return UserFactory.create(name="Ada Adler", staff=True)


@pytest.fixture
def paying() -> Segment:
    UserFactory.create_batch(20)
    return SegmentFactory.create(key="paying", name="Paying", description="Old", rules=PRO)


def change(segment: Segment) -> str:
    return reverse("admin:featureflags_segment_change", args=[segment.pk])


def form(segment: Segment, **fields: Any) -> dict[str, Any]:
    filled = {
        "name": segment.name,
        "description": segment.description,
        "is_active": "on",
        "rules": json.dumps(fields.pop("rules", segment.rules)),
        "_version": segment.version,
        "_save": "Save",
    }
    return {name: value for name, value in {**filled, **fields}.items() if value is not None}


def by(actor: User, segment: Segment, **fields: Any) -> None:
    """Somebody else saves."""
    theirs = Segment.objects.get(pk=segment.pk)
    for name, value in fields.items():
        setattr(theirs, name, value)
    with open_changeset(actor=actor, note="In a hurry"):
        theirs.save()


def shown(response: Any) -> tuple[Conflict, dict[str, Any]]:
    assert response.status_code == 200
    form = response.context["adminform"].form
    values = {name: form[name].value() for name in ("name", "description", "is_active", "rules")}
    return response.context["conflict"], {**values, "rules": json.loads(values["rules"])}


def sent_again(response: Any) -> dict[str, Any]:
    """What a browser sends if Save is pressed once more."""
    form = response.context["adminform"].form
    data = {name: form[name].value() for name in ("name", "description", "is_active", "rules")}
    data = {name: value for name, value in data.items() if value not in {False, None}}
    return {**data, "_version": response.context["based_on"], "_save": "Save"}


def test_what_they_changed_is_said_and_mine_stays_typed(
    staff: Client, paying: Segment, ada: User
) -> None:
    data = form(paying, name="Mine", rules=TEAM)
    by(ada, paying, name="Theirs", description="New")
    conflict, values = shown(staff.post(change(paying), data))
    (entry,) = conflict.entries
    assert (entry.who, entry.note) == ("Ada Adler", "In a hurry")
    assert entry.lines == (
        "Name changed from “Paying” to “Theirs”",
        "Description changed to “New”",
    )
    assert [line.partition(":")[0] for line in conflict.mine] == [
        "Name changed from “Paying” to “Mine”",
        "Rule 1",
    ]
    assert [(one.label, one.theirs, one.mine) for one in conflict.both] == [
        ("Name", ("Theirs",), ("Mine",))
    ]
    # What nobody typed here is theirs; what was typed is mine.
    assert conflict.merged == ("Description",)
    assert values == {"name": "Mine", "description": "New", "is_active": True, "rules": TEAM}
    paying.refresh_from_db()
    assert (paying.name, paying.rules) == ("Theirs", PRO)


def test_saved_again_it_is_written_knowingly(staff: Client, paying: Segment, ada: User) -> None:
    data = form(paying, name="Mine")
    by(ada, paying, name="Theirs", rules=TEAM)
    response = staff.post(change(paying), data)
    assert staff.post(change(paying), sent_again(response)).status_code == 302
    paying.refresh_from_db()
    assert (paying.name, paying.rules) == ("Mine", TEAM)


def test_theirs_can_be_taken_field_by_field(staff: Client, paying: Segment, ada: User) -> None:
    data = form(paying, name="Mine", rules=TEAM, description="Typed", is_active=None)
    by(ada, paying, name="Theirs", rules=BOTH)
    response = staff.post(change(paying), data)
    conflict, _values = shown(response)
    assert [one.field for one in conflict.both] == ["name", "rules"]
    assert conflict.both[1].theirs == ('Rule 1: plan is any of "pro" or "team"',)
    data = {**sent_again(response), "_take_theirs": "rules"}
    taken = staff.post(change(paying), data)
    form_shown = taken.context["adminform"].form
    assert json.loads(form_shown["rules"].value()) == BOTH
    assert (form_shown["name"].value(), form_shown["description"].value()) == ("Mine", "Typed")
    assert not form_shown["is_active"].value()
    paying.refresh_from_db()
    assert paying.name == "Theirs"


@pytest.mark.parametrize("field", ["is_active", "key", "nonsense"])
def test_nothing_else_can_be_taken(staff: Client, paying: Segment, ada: User, field: str) -> None:
    by(ada, paying, is_active=False)
    taken = staff.post(change(paying), form(paying, name="Mine", _take_theirs=field))
    assert taken.status_code == 200
    shown_form = taken.context["adminform"].form
    assert bool(shown_form["is_active"].value()) is (field != "is_active")


def test_if_they_changed_it_again_it_is_said_again(
    staff: Client, paying: Segment, ada: User
) -> None:
    data = form(paying, name="Mine")
    by(ada, paying, name="Theirs")
    response = staff.post(change(paying), data)
    by(ada, paying, name="Theirs again")
    conflict, values = shown(staff.post(change(paying), sent_again(response)))
    assert [entry.lines for entry in conflict.entries] == [
        ("Name changed from “Theirs” to “Theirs again”",)
    ]
    assert values["name"] == "Mine"


def test_their_save_that_changed_nothing_is_not_a_conflict(
    staff: Client, paying: Segment, ada: User
) -> None:
    data = form(paying, name="Mine")
    by(ada, paying)
    assert Segment.objects.get(pk=paying.pk).version == 2
    assert staff.post(change(paying), data).status_code == 302


def test_a_form_with_a_mistake_keeps_the_version_that_it_was_filled_from(
    staff: Client, paying: Segment, ada: User
) -> None:
    data = form(paying, name="", rules=TEAM)
    by(ada, paying, name="Theirs")
    wrong = staff.post(change(paying), data)
    assert wrong.context["adminform"].form.errors
    assert 'name="_version" value="1"' in wrong.content.decode()


def test_the_confirmation_page_carries_the_version_too(
    staff: Client, paying: Segment, ada: User
) -> None:
    UserFactory.create_batch(9, metadata={"plan": "team"})
    asked = staff.post(change(paying), form(paying, rules=TEAM))
    assert is_asked(asked)
    by(ada, paying, name="Theirs")
    conflict, values = shown(answer(staff, asked))
    assert conflict.merged == ("Name",)
    assert values["rules"] == TEAM


def test_a_deleted_segment_is_reported(staff: Client, paying: Segment) -> None:
    address = change(paying)
    data = form(paying, name="Mine")
    paying.delete()
    gone = staff.post(address, data, follow=True)
    assert "doesn’t exist" in str(next(iter(gone.context["messages"])))


def test_the_model_refuses_a_version_that_is_not_the_one_expected(paying: Segment) -> None:
    mine = Segment.objects.get(pk=paying.pk)
    paying.save()
    mine.name = "Mine"
    with pytest.raises(StaleSegment, match="was changed in the meantime"):
        mine.save(expected_version=1)
    assert Segment.objects.get(pk=paying.pk).name == "Paying"
    mine.save(expected_version=2)
    assert Segment.objects.get(pk=paying.pk).name == "Mine"
    paying.delete()
    with pytest.raises(StaleSegment):
        mine.save(expected_version=3)


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
def test_the_second_of_two_saves_at_once_is_refused(
    staff: Client, paying: Segment, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one commits after the form was compared with what is stored."""
    save = Segment.save
    raced: list[bool] = []

    def rival() -> None:
        by(ada, paying, name="Theirs")
        connections.close_all()

    def race(self: Segment, *args: Any, **options: Any) -> None:
        if not raced:
            raced.append(True)
            thread = threading.Thread(target=rival)
            thread.start()
            thread.join()
        save(self, *args, **options)

    monkeypatch.setattr(Segment, "save", race)
    conflict, values = shown(staff.post(change(paying), form(paying, name="Mine")))
    assert conflict.entries[0].lines == ("Name changed from “Paying” to “Theirs”",)
    assert values["name"] == "Mine"
    assert Segment.objects.get(pk=paying.pk).name == "Theirs"


def test_values_are_saved_as_users_have_them_with_a_message(staff: Client, paying: Segment) -> None:
    rules = [rule(clause("email_domain", "in", "@AGPT.co"), clause("email", "startsWith", "Mira@"))]
    response = staff.post(change(paying), form(paying, rules=rules))
    if is_asked(response):
        response = answer(staff, response)
    reported = [
        str(message) for message in staff.get(response.headers["Location"]).context["messages"]
    ]
    assert [text for text in reported if "is saved as" in text] == [
        'Rule 1, condition 1: "@AGPT.co" is saved as "agpt.co", since a domain has no @',
        'Rule 1, condition 2: "Mira@" is saved as "mira@", since email is stored in lower case',
    ]
    saved = Segment.objects.get(pk=paying.pk).rules[0]["clauses"]
    assert [one["values"] for one in saved] == [["agpt.co"], ["mira@"]]
