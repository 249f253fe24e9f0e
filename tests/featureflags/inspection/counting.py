"""How the tests count the users of a flag."""

from __future__ import annotations

from featureflags.inspection.outcomes import outcomes
from featureflags.inspection.variation_counts import begin, work
from featureflags.models import FlagCount

State = FlagCount.State


def outcomes_of(count: FlagCount) -> dict[tuple[object, str, int | None], int]:
    count.refresh_from_db()
    return {(each.value, each.reason, each.rule): each.users for each in outcomes(count.tally)}


def counted(flag: str) -> FlagCount:
    count = begin(flag)
    work(count.pk)
    count.refresh_from_db()
    return count
