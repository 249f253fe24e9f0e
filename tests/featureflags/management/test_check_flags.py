"""`check_flags`: every kind of problem, its words, and the exit code for CI."""

from __future__ import annotations

import datetime
import json
from io import StringIO
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django.fixtures import Settings

from config.flags import ACCENT_COLOUR, INTERNAL_TOOLS
from featureflags.cache import counters
from featureflags.core.conf import app_settings
from featureflags.evaluation import is_enabled
from featureflags.launchdarkly.client import close
from tests.conftest import FlagFile
from tests.services.flag_json import boolean_flag, clause, rollout, rule, segment_rule, string_flag
from tests.services.launchdarkly_api import LaunchDarklyApiServer

pytestmark = pytest.mark.django_db

DECLARED = [INTERNAL_TOOLS, ACCENT_COLOUR]
HERE = "tests.featureflags.management.test_check_flags"
TOOLS = boolean_flag("internal-tools", rules=[segment_rule("employee")])
COLOUR = string_flag("accent-colour")


@pytest.fixture(autouse=True)
def declared(settings: Settings, flag_file: FlagFile) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAGS": f"{HERE}.DECLARED"}
    flag_file(TOOLS, COLOUR)


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    out, code = StringIO(), 0
    try:
        call_command("check_flags", "--json", *arguments, stdout=out)
    except CommandError as error:
        code = error.returncode
    return code, json.loads(out.getvalue() or "{}")


def kinds(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["flag"], each["kind"]) for each in document["problems"]]


def evaluated(flag: str, days_ago: int) -> None:
    day = counters.today() - datetime.timedelta(days=days_ago)
    cache = caches[app_settings().cache]
    assert counters.merge_into(cache, counters.flag_usage.entry_name(day), {flag: 1})


def test_all_fits() -> None:
    assert run() == (
        0,
        {
            "problems": [],
            "notes": [
                "Which flags were not evaluated for 30 days is not known: nothing was counted yet."
            ],
        },
    )


def test_declared_but_missing(flag_file: FlagFile) -> None:
    flag_file(TOOLS)
    code, document = run()
    assert (code, kinds(document)) == (1, [("accent-colour", "missing")])
    assert document["problems"][0]["words"] == (
        "is declared here, and LaunchDarkly does not have it: everybody gets the default,"
        ' "slate". Ask design.'
    )
    assert "LAUNCHDARKLY_API_TOKEN" in document["notes"][0]


def test_archived(flag_file: FlagFile, settings: Settings, api: LaunchDarklyApiServer) -> None:
    flag_file()
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **api.settings}
    api.flags = {
        "accent-colour": {"key": "accent-colour", "name": "x", "archived": True},
    }
    code, document = run()
    assert code == 1
    assert kinds(document) == [("accent-colour", "archived"), ("internal-tools", "missing")]
    assert sorted(request.path for request in api.requests()) == [
        "/api/v2/flags/default/accent-colour",
        "/api/v2/flags/default/internal-tools",
    ]


def test_launchdarkly_s_api_is_not_asked_where_nothing_is_missing(
    settings: Settings, api: LaunchDarklyApiServer
) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **api.settings}
    assert run()[0] == 0
    assert api.requests() == []


def test_an_api_that_refuses_is_a_note(
    flag_file: FlagFile, settings: Settings, api: LaunchDarklyApiServer
) -> None:
    flag_file(TOOLS)
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **api.settings}
    api.answer(403)
    code, document = run()
    assert (code, kinds(document)) == (1, [("accent-colour", "missing")])
    assert "could not be asked" in document["notes"][0]


def test_wrong_type(flag_file: FlagFile) -> None:
    flag_file(TOOLS, boolean_flag("accent-colour"))
    code, document = run()
    assert (code, kinds(document)) == (1, [("accent-colour", "wrong-type")])
    assert document["problems"][0]["words"] == (
        "is declared as string, and LaunchDarkly may serve true, false."
    )


def test_in_launchdarkly_but_not_declared(flag_file: FlagFile) -> None:
    flag_file(TOOLS, COLOUR, boolean_flag("extra"))
    code, document = run()
    assert (code, kinds(document)) == (1, [("extra", "undeclared")])
    evaluated("extra", 3)
    day = counters.today() - datetime.timedelta(days=3)
    assert run()[1]["problems"][0]["words"].endswith(f"It was last evaluated on {day}.")
    assert run("--ignore", "undeclared")[0] == 0


class TestNotEvaluated:
    def test_it_is_named_after_some_days(self) -> None:
        evaluated("internal-tools", 40)
        code, document = run()
        day = counters.today() - datetime.timedelta(days=40)
        assert (code, kinds(document)) == (1, [("internal-tools", "not-evaluated")])
        assert document["problems"][0]["words"] == (
            f"was not evaluated since {day}. Ask platform whether it can go."
        )
        assert document["notes"] == []

    @pytest.mark.parametrize(("days", "code"), [("40", 1), ("41", 0)])
    def test_the_number_of_days(self, days: str, code: int) -> None:
        evaluated("other", 60)
        evaluated("internal-tools", 40)
        assert run("--days", days)[0] == code

    def test_never_since_counting_began(self) -> None:
        evaluated("other", 31)
        assert kinds(run()[1]) == [("internal-tools", "not-evaluated")]
        assert "when counting began" in run()[1]["problems"][0]["words"]

    def test_as_long_as_counting_is_young_nobody_is_accused(self) -> None:
        evaluated("other", 29)
        code, document = run()
        assert (code, document["problems"]) == (0, [])
        assert "counting began on" in document["notes"][0]

    def test_an_evaluation_ends_it(self) -> None:
        evaluated("other", 60)
        assert run()[0] == 1
        is_enabled("internal-tools", "ada")
        assert counters.flush()
        assert run()[0] == 0

    def test_what_browsers_evaluate_is_not_known_here(self) -> None:
        """`accent-colour` is client-side, and was never evaluated in these tests."""
        evaluated("internal-tools", 60)
        evaluated("internal-tools", 0)
        assert run()[0] == 0

    @pytest.mark.parametrize("days", ["0", "100", "-1", "x", "1.5"])
    def test_days_that_are_unknown(self, days: str) -> None:
        with pytest.raises(CommandError, match="from 1 to 99"):
            call_command("check_flags", f"--days={days}")


def test_a_segment_that_django_does_not_have(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("internal-tools", rules=[segment_rule("employee", "emploee")]), COLOUR)
    code, document = run()
    assert (code, kinds(document)) == (1, [("internal-tools", "unknown-segment")])
    assert document["problems"][0]["words"] == (
        "targets the segment “emploee”, which Django does not have: rule 1, condition 1 of the"
        ' flag “internal-tools”: segments is any of "employee" or "emploee".'
    )


@pytest.mark.parametrize(
    ("rules", "share_by", "why"),
    [
        ([rule(clause("segments", "contains", "user"))], "key", "every segment with such a key"),
        (
            [],
            "groups",
            "gives everybody the first variation, since LaunchDarkly cannot hash groups",
        ),
        (
            [],
            "is_staff",
            "gives everybody the first variation, since LaunchDarkly cannot hash is_staff",
        ),
        ([], "anonymous_key", "gives everybody who lacks anonymous_key the first variation"),
        ([], "custom_plan", "gives everybody who lacks custom_plan the first variation"),
        ([], "email_domain", "gives everybody who lacks email_domain the first variation"),
        ([rule(clause("custom_last_ip", "in", "::1"))], "key", "is never sent to LaunchDarkly"),
    ],
    ids=[
        "part of a key",
        "by a list",
        "by a truth value",
        "a visitor's",
        "metadata",
        "optional",
        "withheld",
    ],
)
def test_a_rule_that_misleads(
    flag_file: FlagFile, rules: list[dict[str, Any]], share_by: str, why: str
) -> None:
    shares = rollout(10_000, 90_000, bucket_by=share_by)
    flag_file(boolean_flag("internal-tools", rules=rules, fallthrough=shares), COLOUR)
    code, document = run()
    assert (code, kinds(document)) == (1, [("internal-tools", "misleading")])
    assert why in document["problems"][0]["words"]
    assert run("--ignore", "misleading")[0] == 0


def test_in_words(capsys: pytest.CaptureFixture[str], flag_file: FlagFile) -> None:
    call_command("check_flags")
    assert capsys.readouterr().out.splitlines()[-1] == "All flags fit."
    close()
    flag_file(TOOLS)
    with pytest.raises(CommandError, match="Problems with flags: 1"):
        call_command("check_flags")
    assert "accent-colour is declared here" in capsys.readouterr().out


def test_nothing_is_known_without_launchdarkly(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SOURCE": "offline"}
    assert run() == (2, {})
