"""A rolling deploy of two releases under load, and the way back: nothing wrong, nothing stale, no 5xx."""

from __future__ import annotations

import pytest

from tests.deploy.people import Crowd
from tests.deploy.releases import LAST
from tests.deploy.servers import Deployment, deployment
from tests.docs.fences import fences_of
from tests.services.processes import ROOT
from tests.services.waiting import wait_until

pytestmark = pytest.mark.production_stack

MAINTENANCE = ROOT / "docs" / "operators" / "maintenance.md"
ANSWERS = 15
"""Right ones of each release, for each phase in which it serves."""


def live(crowd: Crowd, phase: str) -> None:
    """Let the people go on until they have enough answers, and judge what they saw."""
    crowd.phase = phase
    names = [f"{phase}, {release.name}" for release in crowd.serving]

    def is_enough() -> bool:
        enough = all(crowd.seen.right[name] >= ANSWERS for name in names)
        return enough or bool(crowd.errors or crowd.seen.faults)

    wait_until(is_enough, what=f"answers of {names}")
    assert crowd.errors == []
    # The access log has a line for each answer; what went wrong is in the others.
    logs = [each.web.log() for each in crowd.serving]
    lines = [line for log in logs for line in log.splitlines() if '"event": "request"' not in line]
    assert crowd.seen.faults == [], "\n".join(lines[-40:])


def migrate(deployed: Deployment, crowd: Crowd, phase: str, *target: str) -> None:
    """With the new code, while somebody serves."""
    crowd.phase = phase
    deployed.manage(deployed.next_folder, "migrate", "--verbosity=0", *target)
    live(crowd, f"{phase}, done")


def documented(command: str) -> tuple[str, ...]:
    """The arguments of a command that the page on upgrades has; AssertionError if it has not."""
    fences = [fence.text for fence in fences_of(MAINTENANCE) if fence.language == "shell"]
    lines = {line.partition("  #")[0].strip() for text in fences for line in text.splitlines()}
    assert f"manage.py {command}" in lines
    return tuple(command.split())


def under_load(deployed: Deployment) -> None:
    """Two releases side by side, upgraded, rolled back and upgraded again. Both are migrated at the end."""
    with deployed.crowd() as crowd, deployed.release("old") as old:
        crowd.serving = [old]
        live(crowd, "old alone")
        migrate(deployed, crowd, "migrating")
        with deployed.release("new") as new:
            deployed.add_segments(deployed.next_folder, "country")
            crowd.serving = [old, new]
            crowd.writable.add("country")
            live(crowd, "both")
            crowd.drain(old)
            live(crowd, "new alone")
            crowd.serving = [old, new]
            live(crowd, "both again")
            crowd.drain(new)
        live(crowd, "rolled back")
        crowd.forget_country()
        migrate(deployed, crowd, "migrating back", "users", LAST)
        migrate(deployed, crowd, "migrating again")
        with deployed.release("new") as new:
            crowd.serving = [old, new]
            live(crowd, "both once more")
            crowd.drain(new)
        crowd.drain(old)
    assert crowd.errors == []


def with_nobody_at_work(deployed: Deployment) -> None:
    """The commands of the page on upgrades: back and forth, with all data."""
    before = deployed.rows()
    new = deployed.next_folder
    deployed.manage(new, *documented(f"migrate users {LAST}"))
    assert deployed.rows() == before
    assert "No migrations to apply" in deployed.manage(ROOT, *documented("migrate"))
    deployed.manage(ROOT, *documented("capture_triggers --install"))
    assert deployed.manage(ROOT, "capture_triggers", "--check") == "Every write is seen.\n"
    deployed.manage(new, *documented("check --deploy"))
    deployed.manage(new, *documented("migrate"))
    assert deployed.rows() == before
    assert "Another release watches more" in deployed.manage(new, "capture_triggers", "--check")


def test_an_upgrade_and_a_rollback() -> None:
    with deployment() as deployed:
        under_load(deployed)
        with_nobody_at_work(deployed)
