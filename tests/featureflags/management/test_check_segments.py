"""`check_segments`: the exit code is what CI reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.emptying import empty_caches
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.management.conftest import Call
from tests.services.processes import manage

ENGINE_CASES = Path(__file__).parents[1] / "segments" / "cases"


def case(name: str, *, plan: str, expected: bool, **fields: Any) -> dict[str, Any]:
    context = {"kind": "user", "key": "u1", "custom_plan": plan}
    return {"name": name, "context": context, "expect": {"paying": expected}, **fields}


def write(path: Path, *cases: dict[str, Any]) -> str:
    path.write_text(json.dumps({"cases": list(cases)}))
    return str(path)


PAYING = {"key": "paying", "rules": [rule(clause("custom_plan", "in", "pro"))]}


@pytest.mark.django_db
def test_the_engines_own_cases_pass(call: Call) -> None:
    files = [str(path) for path in sorted(ENGINE_CASES.glob("*.json"))]
    ended = call("check_segments", *files)
    assert ended.error is None, ended.out
    assert ended.out.endswith(" passed, 0 failed.\n")


@pytest.mark.django_db
def test_a_failure_is_explained_and_ends_with_an_error(call: Call, tmp_path: Path) -> None:
    good = case("good", plan="pro", expected=True, segments=[PAYING])
    bad = case("bad", plan="free", expected=True, segments=[PAYING])
    ended = call("check_segments", write(tmp_path / "cases.json", good, bad))
    assert ended.error == "1 expectations do not hold."
    assert "FAILED  bad: expected the user to be in paying" in ended.out
    assert 'custom_plan is "free"' in ended.out
    assert "good" not in ended.out
    assert "1 passed, 1 failed." in ended.out


@pytest.mark.django_db
def test_live_asks_the_segments_of_the_database(call: Call, tmp_path: Path) -> None:
    SegmentFactory.create(key="paying", rules=[rule(clause("custom_plan", "in", "team"))])
    live = case("live", plan="team", expected=True)
    path = write(tmp_path / "cases.json", live)
    assert call("check_segments", path, "--live").error is None
    assert call("check_segments", path).error is not None
    stale = case("stale", plan="pro", expected=True, segments=[PAYING])
    assert call("check_segments", write(tmp_path / "b.json", stale), "--live").error is not None


@pytest.mark.django_db
def test_a_file_that_cannot_be_read_is_named(call: Call, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    ended = call("check_segments", str(broken))
    assert "broken.json is not JSON" in ended.err
    assert "none.json" in call("check_segments", str(tmp_path / "none.json")).err
    no_cases = write(tmp_path / "no.json")
    Path(no_cases).write_text("[]")
    ended = call("check_segments", no_cases)
    assert ended.error == "1 problems keep cases from being run."


@pytest.mark.django_db
def test_what_cannot_be_run_keeps_nothing_else_from_running(call: Call, tmp_path: Path) -> None:
    good = case("good", plan="pro", expected=True, segments=[PAYING])
    refused = case("refused", plan="pro", expected=True, segments=[{"key": "paying", "rules": 5}])
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    marked = tmp_path / "marked.json"
    marked.write_text(json.dumps({"cases": [good]}), encoding="utf-8-sig")
    first = write(tmp_path / "first.json", refused, good)
    ended = call("check_segments", str(broken), first, str(marked))
    assert "2 passed, 0 failed." in ended.out
    assert "refused: segment 1: The rules must be a list" in ended.err
    assert ended.error == "3 problems keep cases from being run."


def test_cases_need_no_database_and_set_the_exit_code(tmp_path: Path) -> None:
    nowhere = {"DATABASE_URL": "postgres://127.0.0.1:1/none", "GUIDON_VAR_DIR": str(tmp_path)}
    good = case("good", plan="pro", expected=True, segments=[PAYING])
    bad = case("bad", plan="pro", expected=False, segments=[PAYING])
    ended = manage(nowhere, "check_segments", write(tmp_path / "good.json", good))
    assert (ended.returncode, ended.stdout) == (0, "1 passed, 0 failed.\n")
    ended = manage(nowhere, "check_segments", write(tmp_path / "bad.json", good, bad))
    assert ended.returncode == 1
    assert "FAILED  bad: expected the user to be not in paying" in ended.stdout


@pytest.mark.django_db
def test_what_is_odd_about_the_stored_rules_is_named_and_ends_with_an_error(call: Call) -> None:
    UserFactory.create(metadata={"country": "DE"})
    empty_caches()
    SegmentFactory.create(key="germans", rules=[rule(clause("custom_contry", "in", "DE"))])

    ended = call("check_segments", "--lint")

    said = "nobody has the metadata field “contry”. Did you mean “country”?"
    assert f"germans: Rule 1, condition 1: {said}\n" in ended.out
    assert ended.error is not None
    shown = json.loads(call("check_segments", "--lint", "--json").out)
    [finding] = shown["germans"]["findings"]
    assert (finding["code"], finding["rule"], finding["clause"]) == ("unknown_field", 1, 1)
    assert not finding["is_dead"]
    assert "Name files with cases" in str(call("check_segments").error)
