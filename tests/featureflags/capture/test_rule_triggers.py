"""Each write of segments or members makes another ruleset version, by any program."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core import serializers
from django.core.management import call_command

from featureflags.models import Segment, SegmentMember
from featureflags.models.versions import RulesetVersion
from tests.factories import SegmentFactory, SegmentMemberFactory, clause, rule
from tests.featureflags.capture.writing import execute, load

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]

RULE_WRITES: dict[str, Callable[[Segment], Any]] = {
    "raw save": load,
    "raw SQL": lambda segment: execute("UPDATE featureflags_segment SET rules = '[]'"),
    "raw SQL of a new one": lambda segment: execute(
        "INSERT INTO featureflags_segment (key, name, description, is_active, rules, version,"
        " created_at, updated_at) SELECT 'copy', name, description, is_active, rules, version,"
        " created_at, updated_at FROM featureflags_segment LIMIT 1"
    ),
    "raw SQL that deletes members": lambda segment: execute(
        "DELETE FROM featureflags_segmentmember"
    ),
    "raw save of a member": lambda segment: load(*SegmentMember.objects.all()),
}


@pytest.mark.parametrize("write", RULE_WRITES.values(), ids=RULE_WRITES.keys())
def test_every_write_of_rules_and_members_makes_another_ruleset(
    write: Callable[[Segment], Any],
) -> None:
    segment = SegmentFactory.create(rules=[rule(clause("role", "in", "user"))])
    SegmentMemberFactory.create(segment=segment)
    before = RulesetVersion.objects.get()

    write(segment)

    after = RulesetVersion.objects.get()
    assert after.number > before.number
    assert after.token != before.token


def test_loaddata_itself_makes_another_ruleset(tmp_path: Any) -> None:
    segment = SegmentFactory.create()
    file = tmp_path / "segments.json"
    file.write_text(serializers.serialize("json", [segment]))
    before = RulesetVersion.read()

    call_command("loaddata", str(file), stdout=io.StringIO())

    assert RulesetVersion.read() != before


def test_a_version_row_that_is_missing_is_made() -> None:
    SegmentFactory.create()
    RulesetVersion.objects.all().delete()

    execute("UPDATE featureflags_segment SET name = 'x'")

    row = RulesetVersion.objects.get()
    assert (row.pk, row.number > 1) == (1, True)
