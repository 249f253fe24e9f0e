"""The command that imports segments."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from featureflags.editing.documents import export_segments, read_segments
from featureflags.models import HistoryEntry, Segment
from featureflags.models.versions import RulesetVersion
from tests.conftest import FlagFile
from tests.factories import UserFactory, clause, rule
from tests.featureflags.management.conftest import Call
from tests.featureflags.management.documents import write
from tests.services.flag_json import boolean_flag, segment_rule

BROKEN: dict[str, Any] = {
    "an unknown operator": {"rules": [rule(clause("role", "like", "x"))]},
    "an unknown attribute": {"rules": [rule(clause("nope", "in", "x"))]},
    "an unknown segment": {"rules": [rule(clause("", "segmentMatch", "gone"))]},
    "itself": {"rules": [rule(clause("", "segmentMatch", "second"))]},
    "an unknown user": {"included": [str(uuid.uuid4())]},
    "a key that is no user's": {"excluded": ["alice"]},
    "another key": {"key": "other"},
    "a rollout": {"rules": [rule(clause("role", "in", "x"), weight=-1)]},
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
    assert ended.error.startswith("Nothing was written:")
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
        assert "To write it: --confirm\n" in ended.error
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
        assert "To write it: --confirm-key beta\n" in (ended.error or "")
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
        assert ended.out.endswith("1 segments changed.\n" if written else "Nothing was written.\n")
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
