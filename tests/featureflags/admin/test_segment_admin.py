"""Segments in the admin: what it says of wrong rules, of refusals, and what its pages cost."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from featureflags.admin.segment_admin import SegmentAdmin
from featureflags.models import Segment
from featureflags.models.versions import RulesetVersion
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.admin.segment_forms import ADD, GERMANS, LIST, change, form

pytestmark = pytest.mark.django_db


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return found


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def test_a_segment_is_added_and_changed_and_its_history_shown(staff: Client) -> None:
    staff.post(ADD, form(key="germans", rules=GERMANS))
    segment = Segment.objects.get(key="germans")
    assert segment.rules == GERMANS
    staff.post(change(segment), form(name="Germans", rules=[]))
    segment.refresh_from_db()
    assert (segment.name, segment.rules) == ("Germans", [])
    assert LogEntry.objects.latest("pk").get_change_message() == "Changed Name and Rules."
    history = staff.get(reverse("admin:featureflags_segment_history", args=[segment.pk]))
    assert "Name changed from “Name” to “Germans”" in history.content.decode()


def test_every_save_raises_the_version_that_the_page_shows(staff: Client) -> None:
    segment = SegmentFactory.create(rules=GERMANS)
    before = RulesetVersion.read()
    staff.post(change(segment), form(name="Other", rules=GERMANS))
    assert RulesetVersion.read() != before
    page = staff.get(change(segment)).content.decode()
    assert '<div class="readonly">2</div>' in page


def test_the_key_is_typed_once(staff: Client) -> None:
    segment = SegmentFactory.create(key="first")
    assert 'name="key"' in staff.get(ADD).content.decode()
    assert 'name="key"' not in staff.get(change(segment)).content.decode()
    staff.post(change(segment), form(key="second"))
    segment.refresh_from_db()
    assert segment.key == "first"


WRONG = [
    ("[\n  {]", "This is not JSON: line 2, column 4: Expecting property name"),
    ("[NaN]", "This is not JSON: NaN is not a JSON value."),
    ('[{"id": "a", "id": "b"}]', "the name “id” appears twice in one object"),
    ("[" * 100_000, "nested too deeply"),
    ("{}", "The rules must be a list"),
    ("null", "The rules must be a list"),
    ('[{"clauses": []}]', "Rule 1: add at least one condition"),
    ([*GERMANS, rule(clause("shoe_size", "in", 42))], "Rule 2, condition 1: "),
    ([*GERMANS, rule(clause("email", "matches", "("))], "Rule 2, condition 1: "),
    ([{**GERMANS[0], "weight": 5.5}], "Rule 1: weight must be a whole number"),
    ([rule(clause("", "segmentMatch", "nowhere"))], "there is no segment “nowhere”"),
]


@pytest.mark.parametrize(("rules", "problem"), WRONG)
def test_wrong_rules_are_named_by_their_place_and_kept_as_typed(
    staff: Client, rules: Any, problem: str
) -> None:
    segment = SegmentFactory.create(rules=GERMANS)
    data = form(rules=rules)
    response = staff.post(change(segment), data)
    assert problem in " ".join(errors(response)["rules"])
    assert response.context["adminform"].form["rules"].value() == data["rules"]
    segment.refresh_from_db()
    assert segment.rules == GERMANS


def test_rules_without_a_mistake_are_kept_as_typed_too(staff: Client) -> None:
    typed = '[ {"clauses":[{"attribute":"role",\n"op":"in","values":["user"]}]} ]'
    response = staff.post(ADD, form(key="not a key", rules=typed))
    assert set(errors(response)) == {"key"}
    assert response.context["adminform"].form["rules"].value() == typed


def test_stored_rules_are_shown_indented_and_in_reading_order(staff: Client) -> None:
    given = {"negate": False, "values": ["DE"], "op": "in", "attribute": "custom_country"}
    page = staff.get(change(SegmentFactory.create(rules=[{"clauses": [given], "id": "a"}])))
    expected = [{"id": "a", "clauses": [clause("custom_country", "in", "DE")]}]
    assert page.context["adminform"].form["rules"].value() == json.dumps(expected, indent=2)
    assert "featureflags/json-text.css" in page.content.decode()


def test_another_layout_of_the_same_rules_is_not_a_change(staff: Client) -> None:
    segment = SegmentFactory.create(name="Name", rules=GERMANS)
    staff.post(change(segment), form(rules=json.dumps(GERMANS, indent=7)))
    assert LogEntry.objects.latest("pk").get_change_message() == "No fields changed."


def test_rules_on_user_written_attributes_give_a_warning(staff: Client) -> None:
    rules = [*GERMANS, rule(clause("email_domain", "in", "agpt.co"))]
    saved = staff.post(ADD, form(key="colleagues", rules=rules), follow=True)
    warnings = [text for text in messages_of(saved) if text.startswith("Rule")]
    assert len(warnings) == 1
    assert "Rule 2: it tests only what users write themselves" in warnings[0]
    assert "Add the condition “E-mail verified is true”" in warnings[0]
    # Once: the rule stays as it is.
    again = form(name="Renamed", rules=rules)
    saved = staff.post(change(Segment.objects.get(key="colleagues")), again, follow=True)
    assert not any(text.startswith("Rule") for text in messages_of(saved)[-1:])
    safe = [rule(clause("email_domain", "in", "agpt.co"), clause("email_verified", "in", True))]
    segment = Segment.objects.get(key="colleagues")
    changed = staff.post(change(segment), form(rules=safe), follow=True)
    assert not any(text.startswith("Rule") for text in messages_of(changed))


def test_a_segment_that_another_names_is_not_deleted(staff: Client) -> None:
    base = SegmentFactory.create(key="base")
    SegmentFactory.create(key="above", rules=[rule(clause("", "segmentMatch", "base"))])
    address = reverse("admin:featureflags_segment_delete", args=[base.pk])
    for response in (staff.get(address), staff.post(address, {"post": "yes"})):
        assert response.status_code == 200
        assert "“above”, whose rules name “base”" in response.content.decode()
    action = {"action": "delete_selected", "_selected_action": [base.pk], "post": "yes"}
    assert "“above”, whose rules name “base”" in staff.post(LIST, action).content.decode()
    assert Segment.objects.filter(key="base").exists()
    assert not LogEntry.objects.exists()


def test_segments_are_deleted_by_page_and_by_action(
    staff: Client, flag_file: Callable[..., Path]
) -> None:
    one, two = SegmentFactory.create(), SegmentFactory.create()
    SegmentMemberFactory.create(segment=one)
    UserFactory.create_batch(20)
    staff.post(reverse("admin:featureflags_segment_delete", args=[one.pk]), {"post": "yes"})
    staff.post(LIST, {"action": "delete_selected", "_selected_action": [two.pk], "post": "yes"})
    assert not Segment.objects.filter(pk__in=[one.pk, two.pk]).exists()


def test_what_names_what_is_read_once_however_many_are_deleted(
    staff: Client, flag_file: Callable[..., Path]
) -> None:
    UserFactory.create_batch(20)

    def reads(number: int) -> int:
        chosen = [each.pk for each in SegmentFactory.create_batch(number)]
        action = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
        with CaptureQueriesContext(connection) as captured:
            assert staff.post(LIST, action).status_code == 302
        assert not Segment.objects.filter(pk__in=chosen).exists()
        whole = r'SELECT .*"rules".* FROM "featureflags_segment"( WHERE .*LIKE.*)?( ORDER BY .*)?$'
        return len([each for each in captured if re.search(whole, each["sql"])])

    # The ruleset is compiled anew now and then, which reads them too.
    assert abs(reads(12) - reads(2)) < 12 - 2


def test_a_deletion_that_is_refused_late_is_a_message_and_leaves_no_log(
    staff: Client, monkeypatch: pytest.MonkeyPatch, flag_file: Callable[..., Path]
) -> None:
    """As if the other segment had been saved after the page had looked."""
    base = SegmentFactory.create(key="base")
    SegmentFactory.create(key="above", rules=[rule(clause("", "segmentMatch", "base"))])
    # Django's own look at what is protected, which does not know rules.
    monkeypatch.setattr(SegmentAdmin, "get_deleted_objects", ModelAdmin.get_deleted_objects)
    address = reverse("admin:featureflags_segment_delete", args=[base.pk])
    action = {"action": "delete_selected", "_selected_action": [base.pk], "post": "yes"}
    for response in (
        staff.post(address, {"post": "yes"}, follow=True),
        staff.post(LIST, action, follow=True),
    ):
        assert messages_of(response) == ["The segment “base” is used by above."]
    assert response.content.decode().count("<input checked") == 1, "it stays chosen in the list"
    assert Segment.objects.filter(key="base").exists()
    assert not LogEntry.objects.exists()


def test_a_save_that_is_refused_each_time_is_a_message(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise ValidationError({"rules": ["Rule 1: somebody was faster."]})

    monkeypatch.setattr(SegmentAdmin, "save_model", refuse)
    response = staff.post(change(SegmentFactory.create()), form(), follow=True)
    assert messages_of(response) == ["Rule 1: somebody was faster."]


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
def test_a_save_that_somebody_else_made_wrong_shows_the_form_again(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people close a cycle: the second one's form was valid when it was checked."""
    first, second = SegmentFactory.create(key="first"), SegmentFactory.create(key="second")
    save_model = SegmentAdmin.save_model

    def rival() -> None:
        second.rules = [rule(clause("", "segmentMatch", "first"))]
        second.save()
        connections.close_all()

    def race(self: SegmentAdmin, *args: Any) -> None:
        if not Segment.objects.get(key="second").rules:
            thread = threading.Thread(target=rival)
            thread.start()
            thread.join()
        save_model(self, *args)

    monkeypatch.setattr(SegmentAdmin, "save_model", race)
    typed = json.dumps([rule(clause("", "segmentMatch", "second"))])
    response = staff.post(change(first), form(rules=typed))
    assert "these segments use each other" in errors(response)["rules"][0]
    assert response.context["adminform"].form["rules"].value() == typed
    first.refresh_from_db()
    assert first.rules == []
