"""The short form of `make chaos`: PostgreSQL and Redis killed, frozen, and both frozen, under load."""

from __future__ import annotations

import pytest

from tests.chaos.__main__ import warm_up
from tests.chaos.site import running_site
from tests.chaos.states import STATES
from tests.chaos.table import Outcome, measure

pytestmark = pytest.mark.production_stack

SECONDS = 4.0
RATE = 20.0


def test_killed_and_frozen_servers_are_survived() -> None:
    with running_site() as site:
        warm_up(site)
        outcomes: list[Outcome] = [
            measure(site, state, seconds=SECONDS, rate=RATE) for state in STATES if state.is_short
        ]
        broken = [each for outcome in outcomes for each in outcome.broken]
        assert broken == [], site.web.log()[-4000:]
        assert all(row.requests for outcome in outcomes for row in outcome.rows)
