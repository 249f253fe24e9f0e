"""`export_segments` and `import_segments`: what goes out comes in again, whole or not at all."""

from __future__ import annotations

import datetime
import json
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ldclient
import pytest
from django.utils import timezone
from ldclient.integrations import Files

from featureflags.editing.documents import export_segments, read_segments
from featureflags.models import HistoryEntry, Segment, SegmentMember
from featureflags.models.versions import RulesetVersion
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.management.conftest import Call
from tests.featureflags.segments.sdk import probe
from tests.services.flag_json import boolean_flag, segment_rule

UNTIL = timezone.now() + datetime.timedelta(days=9)


def write(path: Path, segments: object, **others: Any) -> str:
    path.write_text(json.dumps({"segments": segments, **others}))
    return str(path)


@pytest.fixture
def stored(db: None) -> None:
    Segment.objects.all().delete()
    beta = SegmentFactory.create(
        key="beta", rules=[rule(clause("custom_plan", "in", "pro", 1, True), description="Pro")]
    )
    SegmentFactory.create(
        key="wide", rules=[rule(clause("", "segmentMatch", "beta"))], description="All"
    )
    SegmentMemberFactory.create(segment=beta, user=UserFactory.create(email="in@example.com"))
    SegmentMemberFactory.create(
        segment=beta,
        user=UserFactory.create(email="out@example.com"),
        kind=SegmentMember.Kind.EXCLUDE,
    )


@pytest.fixture
def native(stored: None) -> None:
    SegmentFactory.create(
        key="known", rules=[rule(clause("custom_x", "exists", True))], is_active=False
    )
    SegmentMemberFactory.create(
        segment=Segment.objects.get(key="beta"), user=UserFactory.create(), expires_at=UNTIL
    )


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


BROKEN: dict[str, Any] = {
    "an unknown operator": {"rules": [rule(clause("role", "like", "x"))]},
    "an unknown attribute": {"rules": [rule(clause("nope", "in", "x"))]},
    "an unknown segment": {"rules": [rule(clause("", "segmentMatch", "gone"))]},
    "itself": {"rules": [rule(clause("", "segmentMatch", "second"))]},
    "an unknown user": {"included": [str(uuid.uuid4())]},
    "a key that is no user's": {"excluded": ["alice"]},
    "another key": {"key": "other"},
    "a rollout": {"rules": [rule(clause("role", "in", "x"), weight=1)]},
    "no object": [],
    "an odd isActive": {"isActive": "no"},
    "an odd name": {"name": 5},
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_an_import_is_all_or_nothing(call: Call, stored: None, tmp_path: Path, name: str) -> None:
    before, version = read_segments(), RulesetVersion.read()
    good = {"rules": [rule(clause("role", "in", "admin"))]}
    ended = call(
        "import_segments", write(tmp_path / "f.json", {"beta": good, "second": BROKEN[name]})
    )
    assert ended.error is not None
    assert ended.error.startswith("Nothing was imported:")
    assert "second" in ended.error
    assert read_segments() == before
    assert RulesetVersion.read() == version


def test_a_cycle_through_a_stored_segment_is_refused(
    call: Call, stored: None, tmp_path: Path
) -> None:
    path = write(
        tmp_path / "f.json", {"beta": {"rules": [rule(clause("", "segmentMatch", "wide"))]}}
    )
    assert "name each other in a circle: beta → wide → beta" in (
        call("import_segments", path).error or ""
    )


def test_two_segments_may_swap_which_uses_the_other(
    call: Call, stored: None, tmp_path: Path
) -> None:
    swapped = {
        "beta": {"rules": [rule(clause("", "segmentMatch", "wide"))]},
        "wide": {"rules": [rule(clause("role", "in", "admin"))]},
    }
    path = write(tmp_path / "f.json", swapped)
    assert call("import_segments", path, "--confirm").error is None


class TestGuards:
    """What has to be confirmed is refused with its numbers, or asked about on a terminal."""

    @pytest.fixture(autouse=True)
    def flags(self, stored: None, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("new-checkout", rules=[segment_rule("beta")]))
        UserFactory.create_batch(3, metadata={"plan": "team"})
        UserFactory.create_batch(50)

    @pytest.fixture
    def teams(self, tmp_path: Path) -> str:
        """It moves three of sixty, and a flag that is on uses it."""
        rules = [rule(clause("custom_plan", "in", "pro", "team"))]
        return write(tmp_path / "teams.json", self.beta(rules=rules))

    def beta(self, **fields: Any) -> dict[str, Any]:
        """The segment as it is, but for these."""
        native: Any = export_segments(["beta"], native=True)["segments"]
        return {"beta": {**native["beta"], "description": "New", **fields}}

    @pytest.fixture
    def inactive(self, tmp_path: Path) -> str:
        return write(tmp_path / "off.json", self.beta(isActive=False))

    def test_it_refuses_with_numbers_and_flags(self, call: Call, teams: str) -> None:
        before = read_segments()
        ended = call("import_segments", teams)
        assert ended.error is not None
        assert "To import it anyway: --confirm\n" in ended.error
        assert "beta: A flag that is on uses this segment: new-checkout." in ended.error
        assert "users entering: 3, leaving: 0" in ended.out
        assert read_segments() == before
        done = call("import_segments", teams, "--confirm", "--note", "Teams pay")
        assert done.out.endswith("1 of 1 segments changed.\n")
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.source, entry.note) == ("import_segments", "Teams pay")
        assert (entry.entering, entry.leaving, entry.actor) == (3, 0, None)

    def test_what_moves_more_than_a_tenth(self, call: Call, tmp_path: Path) -> None:
        path = write(
            tmp_path / "f.json", {"known": {"rules": [rule(clause("key", "exists", True))]}}
        )
        ended = call("import_segments", path)
        assert "known: It moves more than 10 % of all users" in (ended.error or "")
        assert not Segment.objects.filter(key="known").exists()

    def test_what_moves_nobody_needs_nothing(self, call: Call, tmp_path: Path) -> None:
        path = write(tmp_path / "f.json", self.beta())
        assert call("import_segments", path).error is None

    def test_to_deactivate_takes_the_key(self, call: Call, inactive: str) -> None:
        ended = call("import_segments", inactive, "--confirm")
        assert "To import it anyway: --confirm-key beta\n" in (ended.error or "")
        assert call("import_segments", inactive, "--confirm-key", "wide").error is not None
        assert Segment.objects.get(key="beta").is_active
        assert call("import_segments", inactive, "--confirm-key", "beta").error is None
        assert not Segment.objects.get(key="beta").is_active

    @pytest.mark.parametrize(
        ("typed", "written"), [("beta", True), ("bet", False), ("yes", False), ("", False)]
    )
    def test_a_terminal_is_asked_for_the_key(
        self, call: Call, inactive: str, typed: str, written: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.on_a_terminal(monkeypatch, typed)
        ended = call("import_segments", inactive)
        assert ended.out.endswith("1 segments changed.\n" if written else "Nothing was imported.\n")
        assert Segment.objects.get(key="beta").is_active is not written

    @pytest.mark.parametrize(("typed", "written"), [("yes", True), ("no", False), ("", False)])
    def test_a_terminal_is_asked_for_a_yes(
        self, call: Call, teams: str, typed: str, written: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.on_a_terminal(monkeypatch, typed)
        call("import_segments", teams)
        assert ("team" in str(Segment.objects.get(key="beta").rules)) is written

    def test_a_terminal_is_not_asked_with_no_input(
        self, call: Call, teams: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.on_a_terminal(monkeypatch, "yes")
        assert call("import_segments", teams, "--no-input").error is not None

    def test_what_has_changed_while_somebody_thought_is_not_written(
        self, call: Call, teams: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def type_yes(_prompt: str) -> str:
            UserFactory.create(metadata={"plan": "team"})
            return "yes"

        self.on_a_terminal(monkeypatch, "")
        monkeypatch.setattr("builtins.input", type_yes)
        before = read_segments()
        ended = call("import_segments", teams)
        assert "Something has changed since you were asked." in (ended.error or "")
        assert read_segments() == before

    def test_a_dry_run_shows_which_confirmations_are_needed(self, call: Call, teams: str) -> None:
        ended = call("import_segments", teams, "--dry-run")
        assert ended.error is None
        assert "  ! " in ended.out

    def on_a_terminal(self, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
        monkeypatch.setattr("builtins.input", lambda _prompt: typed)


@pytest.mark.django_db
def test_a_file_that_is_not_a_document_is_refused(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text("[]")
    assert 'an object "segments"' in (call("import_segments", str(path)).error or "")


def test_values_are_imported_as_users_have_them_with_a_remark(
    call: Call, stored: None, tmp_path: Path
) -> None:
    capitals = rule(clause("email", "in", "In@Example.COM"), clause("email", "contains", "IN@"))
    path = write(tmp_path / "new.json", {"mine": {"rules": [capitals]}})
    remarks = [
        'mine: Rule 1, condition 1: "In@Example.COM" is saved as "in@example.com", since email is'
        " stored in lower case",
        'mine: Rule 1, condition 2: "IN@" is saved as "in@", since email is stored in lower case',
    ]
    shown = json.loads(call("import_segments", path, "--dry-run", "--json").out)
    assert (shown["written"], shown["remarks"]) == (False, remarks)
    [one] = shown["segments"]
    assert (one["key"], one["entering"], one["leaving"]) == ("mine", 1, 0)
    assert not Segment.objects.filter(key="mine").exists()
    ended = call("import_segments", path, "--confirm")
    assert ended.out.splitlines()[:2] == remarks
    [first, second] = Segment.objects.get(key="mine").rules[0]["clauses"]
    assert (first["values"], second["values"]) == (["in@example.com"], ["in@"])
    # Once it is stored the same file changes nothing, and still says so.
    again = json.loads(call("import_segments", path, "--json").out)
    assert again == {"written": True, "segments": [], "remarks": remarks}


def test_json_never_asks(call: Call, stored: None, tmp_path: Path) -> None:
    path = write(tmp_path / "new.json", {"mine": {"rules": [rule(clause("role", "in", "user"))]}})
    refused = call("import_segments", path, "--json")
    assert (refused.out, "--confirm" in (refused.error or "")) == ("", True)
    written = json.loads(call("import_segments", path, "--json", "--confirm").out)
    assert (written["written"], written["remarks"]) == (True, [])
    assert written["segments"][0]["confirm"]
