"""Real servers that are stopped: they accept, and never answer.

Who waited is counted: a missed deadline is a wait, a refusal is none. How long a wait was is in the words
of its error. A clock would measure how busy this machine is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from featureflags.core import outages
from featureflags.core.deadlines import Purpose, within
from tests.services.waiting import PATIENCE_SECONDS

DATABASE_SECONDS = 0.1
REDIS_SECONDS = 0.06
LATER_SECONDS = 3600.0


def a_second_later(server: outages.Server) -> None:
    """The next caller may ask this server again."""
    assert server.outage is not None
    server.outage.ask_again_at = 0.0


@contextmanager
def patient() -> Iterator[None]:
    """A request that asks of the breaker, and waits as long as a busy machine takes."""
    with within(Purpose.PAGE) as budget:
        budget.database_seconds = budget.redis_seconds = PATIENCE_SECONDS
        yield
