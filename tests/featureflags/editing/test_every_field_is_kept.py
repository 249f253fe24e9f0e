"""Each way that a segment goes, out and back, keeps each of its fields: the next one that is added too."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from featureflags.editing import (
    apply,
    copy_of,
    examine,
    export_segments,
    import_segments,
)
from featureflags.editing.about import dump_state, load_state
from featureflags.editing.history import restoration
from featureflags.editing.installations import as_document, receive, send
from featureflags.editing.plan_documents import dump_change, load_change, on_what_is_stored
from featureflags.models import HistoryEntry, Segment, SegmentDraft
from featureflags.models.changesets import SegmentState
from tests.factories import SegmentFactory, UserFactory, clause, rule

pytestmark = pytest.mark.django_db

FIELDS = tuple(field.name for field in dataclasses.fields(SegmentState))
ALIKE = {"tags": ["beta", "paying"], "salt": " drawn ", "description": "line 1\r\n\r\nline 3"}
RULES = [
    {
        **rule(
            {**clause("name", "startsWith", "Te", negate=True), "ignoreCase": True},
            {**clause("custom_plan", "in", "pro", negate=True), "orMissing": True},
            clause("last_seen_at", "inLast", "P14D"),
        ),
        "id": "r1",
        "weight": 12_500,
        "bucketBy": "custom_company",
    }
]


@pytest.fixture(params=["active", "archived"])
def state(request: pytest.FixtureRequest) -> SegmentState:
    """A segment with each field unlike that of a new one, but the kind: members are of users."""
    archived = request.param == "archived"
    segment = SegmentFactory.create(
        key="premium",
        name="Premium",
        owner=UserFactory.create(),
        is_active=not archived,
        is_archived=archived,
        rules=RULES,
        **ALIKE,
    )
    segment.save()  # Its version is another one than that of a new segment.
    found: SegmentState = Segment.objects.get(key="premium").as_state()
    return found


def stored(key: str = "premium") -> SegmentState:
    found: SegmentState = Segment.objects.get(key=key).as_state()
    return found


def row(key: str = "premium") -> Segment:
    found: Segment = Segment.objects.get(key=key)
    return found


def through_json(state: SegmentState) -> SegmentState:
    return load_state(json.loads(json.dumps(dump_state(state))))


def through_a_file(state: SegmentState) -> SegmentState:
    document = json.loads(json.dumps(export_segments(native=True)))
    row().delete()
    import_segments(document)
    return stored()


def through_another_installation(state: SegmentState) -> SegmentState:
    sent = json.loads(json.dumps(send(["premium"], ["user"], with_members=True).to_dict()))
    row().delete()
    received = receive(sent)
    import_segments(as_document(received.documents, received.left_out, with_members=True))
    return stored()


def through_the_history(state: SegmentState) -> SegmentState:
    entry = HistoryEntry.objects.filter(segment_key="premium").latest("pk")
    Segment.objects.get(key="premium").delete()
    SegmentFactory.create(key="premium", name="Another")
    apply(examine(restoration(entry).change), source="test")
    return stored()


def through_a_deletion(state: SegmentState) -> SegmentState:
    row().delete()
    entry = HistoryEntry.objects.filter(segment_key="premium").latest("pk")
    apply(examine(restoration(entry).change), source="test")
    return stored()


def through_a_plan(state: SegmentState) -> SegmentState:
    change = restoration(HistoryEntry.objects.filter(segment_key="premium").latest("pk")).change
    row().delete()
    change = dataclasses.replace(change, before=None)
    planned = load_change(json.loads(json.dumps(dump_change(change))))
    apply(examine(on_what_is_stored(planned)), source="test")
    return stored()


def through_a_copy(state: SegmentState) -> SegmentState:
    copy = copy_of(row(), key="copied", name=state.name, owner=state.owner)
    apply(examine(copy), source="test")
    return dataclasses.replace(stored("copied"), key=state.key)


def through_a_draft(state: SegmentState) -> SegmentState:
    client = Client()
    client.force_login(UserFactory.create(superuser=True))
    change = reverse("admin:featureflags_segment_change", args=[row().pk])
    form = client.get(change).context["adminform"].form
    typed = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in typed.items() if value not in {None, False}}
    keep = f"{reverse('admin:featureflags_draft_keep')}?segment=premium"
    answer = client.post(keep, {**sent, "_version": state.version})
    assert answer.status_code == 302
    return load_state(SegmentDraft.objects.get().state)


WAYS: dict[str, tuple[Callable[[SegmentState], SegmentState], set[str]]] = {
    "JSON of the history": (through_json, set()),
    "export and import": (through_a_file, {"version"}),
    "another installation": (through_another_installation, {"version"}),
    "restored": (through_the_history, {"version"}),
    "restored after a deletion": (through_a_deletion, {"version"}),
    "a planned change": (through_a_plan, {"version"}),
    "a copy": (through_a_copy, {"version", "is_active", "is_archived"}),
    "a draft": (through_a_draft, set()),
}
"""By name: the way, and the fields that it may change. A copy is new and active."""


@pytest.mark.parametrize("way", WAYS)
def test_it_is_kept(state: SegmentState, way: str) -> None:
    go, may_change = WAYS[way]
    found = go(state)
    for name in FIELDS:
        if name not in may_change:
            assert _exact(getattr(found, name)) == _exact(getattr(state, name)), name


def test_each_field_is_unlike_that_of_a_new_segment(state: SegmentState) -> None:
    """A field that is added must be set above: else the ways cannot fail for it."""
    new = SegmentFactory.build(key="new", rules=[]).as_state()
    same = {name for name in FIELDS if getattr(state, name) == getattr(new, name)}
    assert same == ({"kind", "is_active", "is_archived"} if state.is_active else {"kind"})


def _exact(value: Any) -> str:
    """As JSON, in which True and 1 stay apart; the order of names does not matter."""
    return json.dumps(value, sort_keys=True)
