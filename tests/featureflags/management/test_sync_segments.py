"""`sync_segments`: its words, its JSON, its exit codes, and what it sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings
from pytest_django.fixtures import Settings

from featureflags.models import Segment
from tests.factories import SegmentFactory
from tests.featureflags.launchdarkly.segment_sync.processes import environment
from tests.services.launchdarkly_api import LaunchDarklyApiServer
from tests.services.launchdarkly_segments import clause
from tests.services.processes import manage, manage_process
from tests.services.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.django_db

PROCESS_SECONDS = PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def beta(settings: Settings, api: LaunchDarklyApiServer) -> Iterator[None]:
    """One active segment, and settings that lead to the server."""
    Segment.objects.all().delete()
    SegmentFactory.create(key="beta", name="Beta")
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, **api.settings}):
        yield


def sync(*arguments: str) -> tuple[int, str]:
    """The exit code and everything that was said."""
    out = StringIO()
    try:
        call_command("sync_segments", *arguments, stdout=out)
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}{error}"
    return 0, out.getvalue()


def put_drifted(api: LaunchDarklyApiServer) -> None:
    api.store.put("beta", clause("email", "in", "x"), name="Beta", tags=["guidon"])


def test_the_plan_comes_first_and_then_what_was_done(api: LaunchDarklyApiServer) -> None:
    assert sync() == (
        0,
        "Project default, environment test.\n"
        "  beta: create “Beta”, whose rule is: segments in beta\n"
        "Plan: 1 create.\n"
        "  beta: create done\n",
    )
    assert sync() == (0, "Project default, environment test.\nPlan: 1 current.\n")
    assert api.changes() == [("POST", "beta", []), ("PATCH", "beta", ["addRule"])]


def test_a_dry_run_sends_no_change_and_reports_that_work_is_left(
    api: LaunchDarklyApiServer,
) -> None:
    code, said = sync("--dry-run")
    assert code == 2
    assert "create “Beta”" in said
    assert "Left as they are: beta." in said
    assert api.changes() == []
    sync()
    assert sync("--dry-run")[0] == 0


def test_json(api: LaunchDarklyApiServer) -> None:
    code, said = sync("--json")
    assert (code, json.loads(said)) == (
        0,
        {
            "project": "default",
            "environment": "test",
            "dry_run": False,
            "steps": [
                {
                    "key": "beta",
                    "kind": "create",
                    "sentence": "create “Beta”, whose rule is: segments in beta",
                    "status": "done",
                    "error": None,
                }
            ],
        },
    )
    (step,) = json.loads(sync("--json", "--dry-run")[1])["steps"]
    assert (step["kind"], step["status"]) == ("current", None)


def test_drift_needs_a_person_or_a_repair(api: LaunchDarklyApiServer) -> None:
    put_drifted(api)
    code, said = sync()
    assert code == 2
    assert 'a rule “email in "x"” (--repair puts it back)' in said
    assert api.changes() == []
    assert sync("--repair")[0] == 0
    assert sync() == (0, "Project default, environment test.\nPlan: 1 current.\n")


def test_somebody_elses_segment_needs_a_person(api: LaunchDarklyApiServer) -> None:
    api.store.put("beta")
    code, said = sync("--repair", "--delete-unused")
    assert code == 2
    assert "somebody else's: it has no tag “guidon”" in said
    assert api.changes() == []


def test_what_is_unused_may_stay(api: LaunchDarklyApiServer) -> None:
    sync()
    api.store.put("old", tags=["guidon"])
    code, said = sync()
    assert code == 0
    assert "old: no active segment here has this key (--delete-unused" in said
    assert api.store.keys() == ["beta", "old"]
    assert sync("--delete-unused")[0] == 0
    assert api.store.keys() == ["beta"]


def test_what_a_flag_targets_is_not_deleted_and_that_is_said(api: LaunchDarklyApiServer) -> None:
    sync()
    api.store.put("old", tags=["guidon"], _flags=[{"key": "checkout"}])
    code, said = sync("--delete-unused")
    assert code == 2
    assert "flags that target it: checkout" in said
    assert api.store.keys() == ["beta", "old"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_call_that_fails_is_exit_code_1(api: LaunchDarklyApiServer, status: int) -> None:
    api.answer(status, method="GET")
    code, said = sync()
    assert code == 1
    assert "a fault of the test" in said
    assert api.token not in said
    assert len(api.requests()) == 1


def test_a_step_that_fails_is_exit_code_1(api: LaunchDarklyApiServer) -> None:
    api.answer(403, method="POST")
    code, said = sync()
    assert code == 1
    assert (
        "beta: create failed: a fault of the test (POST /api/v2/segments/default/test: 403)" in said
    )
    assert json.loads(sync("--json")[1].split("\n}\n")[0] + "}")["steps"][0]["status"] == "failed"


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_killed_between_the_two_calls_is_finished_by_the_next(
    api: LaunchDarklyApiServer,
) -> None:
    api.hang(method="PATCH")
    with manage_process(environment(api), "sync_segments", ready="Plan: 1 create") as process:
        wait_until(lambda: api.requests("PATCH"), timeout=PROCESS_SECONDS, what="the second call")
        process.kill()
    api.recover()
    assert api.store.raw("beta")["rules"] == []
    ended = manage(environment(api), "sync_segments")
    assert ended.returncode == 0, ended.stderr
    assert "beta: finish it: its rule is missing, segments in beta" in ended.stdout
    assert len(api.store.raw("beta")["rules"]) == 1


@pytest.mark.django_db(transaction=True)
def test_a_shell_sees_the_exit_code(api: LaunchDarklyApiServer) -> None:
    assert manage(environment(api), "sync_segments", "--dry-run").returncode == 2
    refused = manage({**environment(api), "LAUNCHDARKLY_API_TOKEN": "api-wrong"}, "sync_segments")
    assert refused.returncode == 1
    assert "Invalid access token" in refused.stderr
    assert "api-wrong" not in refused.stdout + refused.stderr


def test_the_options_win_over_the_settings(api: LaunchDarklyApiServer) -> None:
    code, said = sync("--project", "other", "--environment", "prod")
    assert code == 1
    assert "Unknown project or environment key" in said
    assert api.requests()[0].path == "/api/v2/segments/other/prod"


def test_what_is_not_set_is_named(settings: Settings) -> None:
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, "PROJECT": "", "API_TOKEN": ""}):
        assert sync() == (1, "Not set: LAUNCHDARKLY_API_TOKEN, LAUNCHDARKLY_PROJECT.")


def test_a_tag_of_our_own_keeps_two_applications_apart(
    settings: Settings, api: LaunchDarklyApiServer
) -> None:
    api.store.put("theirs", tags=["guidon"])
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, "SYNC_TAG": "shop"}):
        assert sync("--delete-unused")[0] == 0
    assert api.store.keys() == ["theirs", "beta"]
    assert api.store.raw("beta")["tags"] == ["shop"]
