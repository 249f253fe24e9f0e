"""The short form of `make chaos`: what may happen to servers, network, clock, names and disk, under load.

Other tests run on the same machine, so the bounds in seconds are left to `make chaos`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest

from tests.chaos.__main__ import warm_up
from tests.chaos.harsh import harsh_beside
from tests.chaos.site import ServedSite, running_site
from tests.chaos.states import (
    EMBEDDED_GROUP,
    HARSH_GROUP,
    SERVED_GROUP,
    Group,
    Where,
)
from tests.chaos.table import measure

SECONDS = 4.0
RATE = 20.0


def survived(group: Group[Where]) -> None:
    states = [state for state in group.states if state.is_short]
    left_out = [f"{state.name} {state.why_not}" for state in states if state.why_not]
    possible = [state for state in states if not state.why_not]
    if possible:
        with group.site() as site:
            warm_up(site)
            outcomes = [
                measure(site, state, seconds=SECONDS, rate=RATE, is_timed=False)
                for state in possible
            ]
            broken = [each for outcome in outcomes for each in outcome.broken]
            assert broken == [], site.web.log()[-4000:]
            assert all(row.requests for outcome in outcomes for row in outcome.rows)
    if left_out:
        pytest.skip("; ".join(left_out))


@pytest.fixture(scope="module")
def served() -> Iterator[ServedSite]:
    with running_site() as site:
        yield site


@pytest.mark.production_stack
def test_killed_and_frozen_servers_are_survived(served: ServedSite) -> None:
    survived(replace(SERVED_GROUP, site=lambda: nullcontext(served)))


@pytest.mark.production_stack
def test_a_slow_network_a_wrong_clock_and_no_names_are_survived(served: ServedSite) -> None:
    survived(replace(HARSH_GROUP, site=lambda: harsh_beside(served)))


@pytest.mark.embedded_stack
def test_a_full_disk_and_another_writer_are_survived_by_the_embedded_default() -> None:
    survived(EMBEDDED_GROUP)
