"""Segments promoted from another installation to here: proposed, scheduled, written in an emergency."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from featureflags.editing import make_due
from featureflags.kinds.compiled import CompiledKind
from featureflags.models import HistoryEntry, PlannedChange, Segment, SegmentMember
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.admin.asking import answer, is_asked
from tests.featureflags.admin.installations.conftest import (
    MEMBERS,
    PAGE,
    has,
    pull,
    segment_there,
    text_of,
)
from tests.featureflags.admin.proposals.deciding import (
    LIST,
    TEAM,
    decide,
    page,
    person,
    rules,
    tomorrow,
)
from tests.featureflags.admin.shared.confirming import PRO
from tests.featureflags.editing.installations.another import Other

pytestmark = pytest.mark.django_db
State = PlannedChange.State


def clauses(key: str) -> Any:
    """The conditions of the one rule that is stored of this segment."""
    [stored] = Segment.objects.get(key=key).rules
    return stored["clauses"]


def come() -> None:
    """As if the instant of all plans had come."""
    now = timezone.now()
    PlannedChange.objects.update(due_at=now, next_attempt_at=now)


def test_what_was_chosen_stays_chosen_after_back(ada: Client, paying: Segment) -> None:
    asked = pull(ada, "quiet", members="1")
    assert answer(ada, asked, _back="1")["Location"] == PAGE
    text = text_of(ada.get(PAGE))
    assert 'value="quiet" checked' in text
    assert 'name="members" value="1" checked' in text
    assert text.count(" checked") == 2
    assert " checked" not in text_of(ada.get(PAGE))


def test_what_needs_an_approval_is_proposed_and_the_rest_is_written(
    ada: Client, ben: Client, paying: Segment
) -> None:
    asked = pull(ada, "paying", "quiet")
    text = text_of(asked)
    assert "Promote from staging to here?" in text
    assert "somebody else must approve this change" in text
    assert ">Propose</button>" in text
    assert 'value="emergency"' not in text
    done = answer(ada, asked, _how="propose", note="From staging")
    assert (done.status_code, done.url) == (302, LIST)
    said = text_of(ada.get(LIST))
    assert "1 segment was promoted to here." in said
    assert "Proposed here, because a flag that is on uses them: paying." in said
    plan = PlannedChange.objects.get()
    assert (plan.segment_key, plan.state, plan.entering, plan.note) == (
        *("paying", State.PROPOSED, 3),
        "From staging",
    )
    assert rules() == PRO
    assert clauses("quiet") == TEAM[0]["clauses"]
    shown = text_of(decide(ben, plan, "approve"))
    assert "The change is made." in shown
    assert clauses("paying") == TEAM[0]["clauses"]
    history = text_of(ben.get(reverse("admin:featureflags_segment_changes", args=["paying"])))
    assert "from another installation" in history
    assert "approved by" in history
    entry = HistoryEntry.objects.filter(segment_key="quiet").latest("pk")
    assert (entry.note, entry.source) == ("From staging", "promote_segments")


def test_an_emergency_takes_a_permission_and_a_note_and_is_marked(paying: Segment) -> None:
    client = person("bypass_plannedchange")
    asked = pull(client, "paying", "quiet")
    assert ">Save now: an emergency</button>" in text_of(asked)
    again = answer(client, asked, _how="emergency")
    assert "Write why this cannot wait for an approval." in text_of(again)
    assert rules() == PRO
    done = answer(client, asked, _how="emergency", note="The shop is down")
    assert (done.status_code, done.url) == (302, PAGE)
    assert "2 segments were promoted to here." in text_of(client.get(PAGE))
    assert clauses("paying") == TEAM[0]["clauses"]
    assert not PlannedChange.objects.exists()
    marked = {
        one.segment_key: one.is_emergency
        for one in HistoryEntry.objects.filter(note="The shop is down")
    }
    assert marked == {"paying": True, "quiet": False}
    history = text_of(client.get(reverse("admin:featureflags_segment_changes", args=["paying"])))
    assert "emergency, without approval" in history


def test_without_the_permission_an_emergency_is_a_proposal(ada: Client, paying: Segment) -> None:
    answer(ada, pull(ada, "paying"), _how="emergency", note="x")
    assert rules() == PRO
    assert PlannedChange.objects.get().state == State.PROPOSED


def test_at_an_instant_nothing_is_written_before(ada: Client, ben: Client, paying: Segment) -> None:
    """What needs no approval is scheduled; what needs one waits for it, and then for its instant."""
    asked = pull(ada, "paying", "quiet")
    wrong = answer(ada, asked, _how="propose", _due="2020-01-01T10:00")
    assert "This moment has passed already." in text_of(wrong)
    done = answer(ada, asked, _how="propose", _due=tomorrow(), note="At night")
    assert (done.status_code, done.url) == (302, LIST)
    said = text_of(ada.get(LIST))
    assert "The change of “paying” is proposed for" in said
    assert "The change of “quiet” is scheduled for" in said
    assert not Segment.objects.filter(key="quiet").exists()
    found = {plan.segment_key: plan for plan in PlannedChange.objects.all()}
    states = {key: (plan.state, plan.source) for key, plan in found.items()}
    assert states == {
        "paying": (State.PROPOSED, "promote_segments"),
        "quiet": (State.SCHEDULED, "promote_segments"),
    }
    decide(ben, found["paying"], "approve")
    assert rules() == PRO
    assert make_due().applied == 0
    come()
    assert make_due().applied == 2
    assert clauses("paying") == clauses("quiet") == TEAM[0]["clauses"]


def test_what_is_scheduled_is_made_in_the_order_in_which_it_can_be(
    ada: Client, paying: Segment, other: Other
) -> None:
    """`a_first` names `z_last`, which is not here yet: both are due at one instant."""
    names = [{"clauses": [{"attribute": "", "op": "segmentMatch", "values": ["z_last"]}]}]
    has(
        other,
        {
            "a_first": segment_there("a_first", rules=names),
            "z_last": segment_there("z_last"),
        },
    )
    asked = pull(ada, "a_first", "z_last")
    answer(ada, asked, _how="save", _due=tomorrow())
    come()
    assert make_due().applied == 2
    assert Segment.objects.filter(key__in=["a_first", "z_last"]).count() == 2


def test_a_proposal_that_depends_on_another_waits_for_it(
    ada: Client, ben: Client, paying: Segment, other: Other
) -> None:
    """The segment that it names is not here yet. It is not refused for good by an early approval."""
    names = [{"clauses": [{"attribute": "", "op": "segmentMatch", "values": ["z_last"]}]}]
    has(
        other,
        {
            "paying": segment_there("paying", rules=names),
            "z_last": segment_there("z_last"),
        },
    )
    later = (timezone.localtime() + datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    answer(ada, pull(ada, "paying", "z_last"), _how="propose", _due=later)
    plan = PlannedChange.objects.get(segment_key="paying")
    shown = text_of(ben.get(page(plan)))
    assert "z_last" in shown
    assert 'value="approve"' not in shown
    forced = text_of(decide(ben, plan, "approve"))
    assert "there is no segment" in forced.lower()
    plan.refresh_from_db()
    assert plan.state == State.PROPOSED
    come()
    PlannedChange.objects.filter(pk=plan.pk).update(next_attempt_at=None)
    assert make_due().applied == 1
    decide(ben, plan, "approve")
    plan.refresh_from_db()
    assert plan.state == State.APPLIED


def test_what_changed_while_somebody_thought_is_asked_again(ada: Client, paying: Segment) -> None:
    asked = pull(ada, "paying")
    UserFactory.create(metadata={"plan": "team"})
    again = answer(ada, asked, _how="propose")
    assert is_asked(again)
    assert "Something has changed since you were asked." in text_of(again)
    assert not PlannedChange.objects.exists()


@pytest.mark.parametrize("sees", [True, False])
def test_members_of_another_kind(other: Other, organizations: CompiledKind, sees: bool) -> None:
    """Companies are the same by their title. Who may not see companies changes no list of them."""
    acme, small = (Company.objects.create(name=name) for name in ("Acme", "Small"))
    large = [rule(clause("seats", "greaterThan", 50))]
    stored = SegmentFactory.create(key="large", name="Large", kind=ORGANIZATION, rules=large)
    SegmentMember.objects.create(segment=stored, key=str(small.pk))
    there = segment_there(
        "large", name="Large", kind=ORGANIZATION, rules=large, included=["71", "72"]
    )
    has(other, {"large": there}, {ORGANIZATION: {"71": "Acme", "72": "Of there alone"}})
    client = person(*MEMBERS, *(["view_company"] if sees else []))
    listed = text_of(client.get(PAGE))
    assert ("Of there alone" in listed) is sees
    asked = pull(client, "large", members="1")
    if not sees:
        assert "promoted to here" not in text_of(client.get(PAGE))
        assert SegmentMember.objects.get().key == str(small.pk)
        return
    text = text_of(asked)
    assert "Of there alone" in text
    assert "Acme" in text
    answer(client, asked, _how="save")
    assert SegmentMember.objects.get().key == str(acme.pk)
    assert "Of there alone" not in str(HistoryEntry.objects.latest("pk").after)


def test_members_take_their_own_permissions(paying: Segment) -> None:
    client = person()
    assert 'name="members"' not in text_of(client.get(PAGE))
    assert pull(client, "paying", members="1").status_code == 403


def test_nothing_that_was_chosen_is_there(ada: Client, paying: Segment) -> None:
    for keys in ((), ("gone",)):
        assert pull(ada, *keys).url == PAGE
        assert "Choose segments that are on the side that is read." in text_of(ada.get(PAGE))


def test_a_segment_that_cannot_be_promoted_is_named(
    ada: Client, paying: Segment, other: Other
) -> None:
    has(other, {"odd": segment_there("odd", kind="ship")})
    assert "There is no kind" in text_of(ada.get(PAGE))
    found = pull(ada, "odd")
    # Django's own page would make it “Odd”.
    assert ">odd cannot be promoted. There:" in text_of(found)
