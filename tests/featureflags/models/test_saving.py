"""Many segments are saved in a few statements, and all else is as with one by one."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import ProtectedError
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext

from featureflags.editing import NotImportable, apply, change_to, examine, import_segments
from featureflags.editing.examining import Examination
from featureflags.models import HistoryEntry, Segment, StaleSegment, save_all, segments
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, clause, rule
from tests.featureflags.editing.changing import PRO, TEAM

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_flags(flag_file: FlagFile) -> None:
    flag_file()


def documents(number: int, rules: Any) -> dict[str, Any]:
    keys = [f"seg-{each}" for each in range(number)]
    return {"segments": {key: {"key": key, "name": key, "rules": rules} for key in keys}}


def naming(*keys: str) -> list[dict[str, Any]]:
    return [rule(clause("", "segmentMatch", *keys))]


def new(key: str, rules: Any = ()) -> Segment:
    return Segment(key=key, name=key, rules=list(rules))


def save(*rows: Segment) -> None:
    save_all(rows, columns={"name", "rules"}, versions={})


def last(key: str) -> HistoryEntry:
    return HistoryEntry.objects.filter(segment_key=key).latest("pk")


@pytest.mark.parametrize("rules", [[PRO], [PRO, TEAM]], ids=["new", "changed"])
def test_an_import_takes_no_statement_for_each_segment(rules: list[Any]) -> None:
    taken: list[int] = []
    for number in (2, 40):
        for each in rules[:-1]:
            import_segments(documents(number, each))
        with CaptureQueriesContext(connection) as asked:
            import_segments(documents(number, rules[-1]))
        taken.append(len(asked))
        Segment.objects.all().delete()
    # Some more or less: what is cached, such as whether there are webhooks, is read now and then.
    assert abs(taken[1] - taken[0]) < 40 - 2


@pytest.mark.parametrize("number", [1, 2])
def test_what_an_import_refuses_is_named_by_its_key_once(number: int) -> None:
    wrong = documents(number, PRO)
    wrong["segments"]["seg-0"]["rules"] = naming("gone")
    with pytest.raises(NotImportable) as refused:
        import_segments(wrong)
    assert [problem.count("seg-0:") for problem in refused.value.problems] == [1]


def test_each_has_its_version_its_entry_and_its_signals() -> None:
    SegmentFactory.create(key="again", rules=PRO)
    Segment.objects.filter(key="again").delete()
    stored = SegmentFactory.create(key="stored", rules=PRO)
    made_at, updated_at = stored.created_at, stored.updated_at
    stored.name, heard = "Other", []

    def hear(instance: Segment, created: Any = None, **sent: Any) -> None:
        heard.append((instance.key, created, sent["update_fields"]))

    for signal in (pre_save, post_save):
        signal.connect(hear, sender=Segment)
    try:
        save(new("again", TEAM), stored)
    finally:
        for signal in (pre_save, post_save):
            signal.disconnect(hear, sender=Segment)
    columns = frozenset({"name", "rules", "version", "updated_at"})
    assert heard == [
        ("again", None, None),
        ("stored", None, columns),
        ("again", True, None),
        ("stored", False, columns),
    ]
    assert Segment.objects.get(key="again").version == 2
    row = Segment.objects.get(key="stored")
    assert (row.name, row.version, row.created_at) == ("Other", 2, made_at)
    assert stored.created_at == made_at
    assert row.updated_at > updated_at
    assert [(last(key).kind, last(key).version) for key in ("again", "stored")] == [
        ("created", 2),
        ("changed", 2),
    ]


def test_only_the_given_columns_of_a_stored_one() -> None:
    stored = SegmentFactory.create(key="stored", name="Stored", description="Theirs", rules=PRO)
    stored.name, stored.description = "Mine", "Mine"
    save(stored, new("other"))
    stored.refresh_from_db()
    assert (stored.name, stored.description) == ("Mine", "Theirs")


def test_each_may_name_those_before_it() -> None:
    save(new("a"), new("b", naming("a")), new("c", naming("b")))
    assert Segment.objects.filter(key__in="abc").count() == 3


def test_what_is_refused_is_named_by_its_key() -> None:
    names = SegmentFactory.create(key="names", rules=[])
    SegmentFactory.create(key="through", rules=naming("names"))
    names.rules = naming("new")
    with pytest.raises(ValidationError) as refused:
        save(
            names,
            new("new", naming("through")),
            new("through"),
            new("spaces in it"),
            new("other", naming("gone")),
        )
    found = refused.value.messages
    assert [message.split(":")[0] for message in found] == [
        "names",
        "through",
        "spaces in it",
        "other",
    ]
    assert "there is no segment “new”" in found[0]
    assert "already exists" in found[1]
    assert "there is no segment “gone”" in found[3]
    assert not Segment.objects.filter(key="new").exists()


def test_two_that_would_name_each_other() -> None:
    """Each alone is valid beside what is stored."""
    first, second = (SegmentFactory.create(key=key, rules=[]) for key in ("first", "second"))
    first.rules, second.rules = naming("second"), naming("first")
    with pytest.raises(ValidationError, match=r"second: .*use each other"):
        save(first, second)


def test_another_version_than_the_expected_one() -> None:
    stored = SegmentFactory.create(key="stored", rules=PRO)
    with pytest.raises(StaleSegment):
        save_all([stored], columns={"name"}, versions={"stored": stored.version + 1})


def test_several_changes_of_members_and_rows() -> None:
    rows = [SegmentFactory.create(key=key, rules=PRO) for key in ("one", "two")]

    def changed(row: Segment) -> Examination:
        row.name = "Other"
        return examine(change_to(row, columns=frozenset({"name"})))

    examined = [changed(row) for row in rows]
    Segment.objects.filter(key="one").update(description="Theirs")
    written = apply(*examined, source="script", note="Both")
    assert [(row.key, row.name) for row in written] == [("one", "Other"), ("two", "Other")]
    assert [(last(key).note, last(key).source) for key in ("one", "two")] == [
        ("Both", "script")
    ] * 2
    assert Segment.objects.get(key="one").description == "Theirs"


def test_a_deletion_looks_at_no_rules_that_do_not_hold_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That of many would look at all of them for each."""
    save(new("a_b"), new("axb"), *(new(f"x{number}", PRO) for number in range(9)))
    save(new("uses", naming("a_b")), new("says", [rule(clause("custom_plan", "in", "a_b"))]))
    seen: list[object] = []
    named_by = segments._named_by

    def look(rules: Any, kind: str) -> frozenset[str]:
        seen.append(rules)
        return named_by(rules, kind)

    monkeypatch.setattr(segments, "_named_by", look)
    with pytest.raises(ProtectedError, match=r"a_b.* is used by uses"):
        Segment.objects.get(key="a_b").delete()
    Segment.objects.filter(key__startswith="x").delete()
    assert len(seen) == 2
