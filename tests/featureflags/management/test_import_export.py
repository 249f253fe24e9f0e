"""`export_segments` and `import_segments`: what goes out comes in again, whole or not at all."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import ldclient
import pytest
from ldclient.integrations import Files

from featureflags.editing.changes import stored_members
from featureflags.editing.documents import read_segments
from featureflags.models import Segment, SegmentMember
from tests.factories import SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.management.conftest import UNTIL, Call
from tests.featureflags.management.documents import write
from tests.featureflags.segments.sdk import probe

REASONS = ("Asked for it", "=1+1", 'a "quoted", one;\u2028next\x0b', "e\u0301 \u202e \u200b", "")


def test_the_sdk_reads_what_was_exported(call: Call, stored: None, tmp_path: Path) -> None:
    document = json.loads(call("export_segments").out)
    document["flags"] = {"probe-wide": probe("wide")}
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(document))
    source = Files.new_data_source(paths=[str(path)])
    config = ldclient.Config("sdk-key", update_processor_class=source, send_events=False)
    client = ldclient.LDClient(config, start_wait=5)
    try:
        keys = {str(row.user_id): row.kind for row in SegmentMember.objects.all()}
        for key, kind in keys.items():
            context = ldclient.Context.create(key)
            assert client.variation("probe-wide", context, None) is (kind == "include")
        payer = ldclient.Context.builder("somebody").set("custom_plan", "pro").build()
        assert client.variation("probe-wide", payer, None) is True
    finally:
        client.close()


@pytest.mark.parametrize("everything", [True, False])
def test_a_native_export_comes_back_unchanged(
    call: Call, native: None, tmp_path: Path, everything: bool
) -> None:
    before = read_segments()
    path = tmp_path / "all.json"
    path.write_text(call("export_segments", "--native").out)
    if everything:
        Segment.objects.filter(key="wide").delete()
        Segment.objects.all().delete()
    ended = call("import_segments", str(path), "--confirm")
    assert ended.error is None
    after = read_segments()
    assert after.keys() == before.keys()
    for key, document in before.items():
        assert after[key].in_force.rules == document.in_force.rules
        assert after[key].definition.rules == document.definition.rules
        assert after[key].definition.included == document.definition.included
        assert after[key].definition.excluded == document.definition.excluded
        assert (after[key].name, after[key].is_active) == (document.name, document.is_active)
    if not everything:
        assert ended.out == "0 of 3 segments changed.\n"
        assert after == before


@pytest.mark.parametrize("everything", [True, False])
def test_beginnings_ends_and_reasons_of_members_come_back(
    call: Call, native: None, tmp_path: Path, everything: bool
) -> None:
    beta = Segment.objects.get(key="beta")
    for number, reason in enumerate(REASONS):
        SegmentMemberFactory.create(
            segment=beta,
            user=UserFactory.create(),
            reason=reason,
            kind=("include", "exclude")[number % 2],
            starts_at=UNTIL - datetime.timedelta(days=2),
            expires_at=UNTIL if number else None,
        )
    before = stored_members("beta")
    path = tmp_path / "all.json"
    path.write_text(call("export_segments", "--native").out)
    if everything:
        Segment.objects.filter(key="wide").delete()
        Segment.objects.all().delete()
    else:
        beta.members.update(reason="Written over")
    assert call("import_segments", str(path), "--confirm").error is None
    assert stored_members("beta") == before
    again = call("import_segments", str(path), "--confirm")
    assert again.out.startswith("0 of ")


def test_a_document_without_reasons_keeps_those_that_are_stored(
    call: Call, native: None, tmp_path: Path
) -> None:
    SegmentMember.objects.update(reason="Asked for it")
    document = json.loads(call("export_segments", "--native").out)
    del document["segments"]["beta"]["memberReasons"]
    path = write(tmp_path / "all.json", document["segments"])
    assert call("import_segments", path, "--confirm").out.startswith("0 of ")


def test_the_document_for_launchdarkly_has_no_reasons(call: Call, stored: None) -> None:
    SegmentMember.objects.update(reason="Asked for it")
    assert "Asked" not in call("export_segments").out


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        (["x"], "must map"),
        ({"nobody": "x"}, "is not a member"),
        ({"in": 1}, "must be a text"),
        ({"in": "x" * 201}, "200 characters"),
        ({"in": "a\0b"}, "NUL"),
    ],
)
def test_reasons_that_cannot_be_are_named(
    call: Call, stored: None, tmp_path: Path, reasons: object, said: str
) -> None:
    key = str(SegmentMember.objects.get(kind="include").user_id)
    document = json.loads(call("export_segments", "--native").out)
    if isinstance(reasons, dict):
        reasons = {key if name == "in" else name: text for name, text in reasons.items()}
    document["segments"]["beta"]["memberReasons"] = reasons
    path = write(tmp_path / "all.json", document["segments"])
    error = call("import_segments", path, "--confirm").error or ""
    assert "beta: memberReasons" in error
    assert said in error


def test_what_launchdarkly_lacks_is_refused_by_name(call: Call, native: None) -> None:
    assert "expires" in (call("export_segments", "beta").error or "")
    Segment.objects.filter(key="known").update(is_active=True)
    assert "'exists'" in (call("export_segments", "known").error or "")
    assert call("export_segments", "nope").error == "There is no segment 'nope'."
    assert list(json.loads(call("export_segments", "wide").out)["segments"]) == ["wide"]


def test_the_difference_is_shown_in_words_and_users(
    call: Call, stored: None, tmp_path: Path
) -> None:
    payer = UserFactory.create(metadata={"plan": "pro"})
    UserFactory.create(metadata={"plan": "team"})
    new_rules = [rule(clause("custom_plan", "in", "team"))]
    member = {"included": [str(payer.pk)], "excluded": []}
    path = write(
        tmp_path / "new.json",
        {"beta": {"name": "Beta", "rules": new_rules, **member}, "none": {"rules": []}},
        flags={},
    )
    before = read_segments()
    tried = call("import_segments", path, "--dry-run")
    assert tried.error is None
    assert read_segments() == before
    assert tried.out.endswith("2 of 2 segments would change.\n")
    done = call("import_segments", path, "--confirm")
    assert done.out.replace("segments changed", "segments would change") == tried.out
    lines = [line.strip() for line in done.out.splitlines()]
    was, now = 'plan is any of "pro" or 1 or true', 'plan is any of "team"'
    assert f"Rule 1: changed condition: {was} → {now}" in lines
    assert f"Included 1 user: {payer.pk}" in lines
    assert "Created as “none”" in lines
    # In: the one of the team. Out: the one who was included by name.
    assert lines[lines.index("beta") :].index("users entering: 1, leaving: 1") > 0
    assert Segment.objects.get(key="beta").rules[0]["clauses"][0]["values"] == ["team"]
    assert call("import_segments", path).out == "0 of 2 segments changed.\n"
