"""What the load met in each state, against the bounds: the rows of the table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.load import CONTROL, Load, Sample, Surface, surfaces
from tests.chaos.site import WORKERS
from tests.chaos.states import State, Where

BOUND_SECONDS = 0.25
"""p99 of a surface that answers flags, in any state."""
RECOVERY_SECONDS = 5.0
CONTROL_SECONDS = 0.06
"""The control's p99 on a machine with nothing else to do. What it takes above that is added to the
bound while tests run beside it: it is what other work on the machine does to any answer."""
LINES_A_SECOND = 5.0
"""Of the log of one process, while a server is away."""

CALM_SECONDS = 3.0
AFTERWARDS_SECONDS = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """When a state began, ended, and was over; seconds since the load began."""

    began: float
    ended: float
    back: float

    def has(self, sample: Sample) -> bool:
        """True if the request was due while the state lasted."""
        return self.began <= sample.at < self.ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One state and one surface."""

    state: str
    surface: str
    requests: int
    statuses: str
    p99: float
    wrong: int
    """Answers that were not right and did not say that they might not be."""
    stale: int
    """Answers that were not right and said so."""
    degraded_as: str
    """What the answers said of themselves."""
    recovery: float
    """Seconds from the end of the state to the first of the right answers from then on."""
    broken: tuple[str, ...]
    """The bounds that did not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    rows: Sequence[Row]
    lines_a_second: float
    """Of the log, for each process, during the state."""

    @property
    def broken(self) -> list[str]:
        found = [f"{row.state}, {row.surface}: {each}" for row in self.rows for each in row.broken]
        if self.lines_a_second > LINES_A_SECOND:
            found.append(f"{self.rows[0].state}: {self.lines_a_second:.1f} lines a second")
        return found


def measure(
    site: Where, state: State[Where], *, seconds: float, rate: float, is_busy: bool = False
) -> Outcome:
    """Put the site into the state under load for `seconds`, and look at what it answered.

    `is_busy`: the machine has other work, and the control says how much to add to the bounds.
    """
    with Load(site, rate) as load:
        time.sleep(CALM_SECONDS)
        lines = site.web.log().count("\n")
        began = load.now()
        with state.begin(site):
            began = load.now()
            time.sleep(seconds)
            ended = load.now()
            lines = site.web.log().count("\n") - lines
        back = load.now()
        time.sleep(AFTERWARDS_SECONDS)
    period = Period(began=began, ended=ended, back=back)
    controls = [each for each in load.samples if each.surface == CONTROL and period.has(each)]
    slack = max(0.0, quantile(controls) - CONTROL_SECONDS) if is_busy else 0.0
    rows = [_row(state.name, each, load.samples, period, slack) for each in surfaces()]
    return Outcome(rows=rows, lines_a_second=lines / seconds / (WORKERS + 1))


def _row(
    state: str, surface: Surface, samples: Iterable[Sample], period: Period, slack: float
) -> Row:
    mine = [sample for sample in samples if sample.surface == surface.name]
    during = [sample for sample in mine if period.has(sample)]
    after = [sample for sample in mine if sample.at >= period.back]
    not_right = [sample for sample in during if _is_not_right(surface, sample)]
    wrong = sum(not sample.degraded for sample in not_right)
    p99 = quantile(during)
    recovery = _recovery(surface, after, period.back)
    checks: dict[str, bool] = {
        "a status that may not be": any(s.status not in surface.statuses for s in during),
        "a wrong answer": wrong > 0,
        f"p99 {p99 * 1000:.0f} ms": surface.evaluates and p99 > BOUND_SECONDS + slack,
        f"recovery {recovery:.1f} s": recovery > RECOVERY_SECONDS,
    }
    return Row(
        state=state,
        surface=surface.name,
        requests=len(during),
        statuses=_counted(during, lambda sample: str(sample.status or "none")),
        p99=p99,
        wrong=wrong,
        stale=len(not_right) - wrong,
        degraded_as=_counted(during, lambda sample: ", ".join(sample.degraded)),
        recovery=recovery,
        broken=tuple(name for name, is_broken in checks.items() if is_broken),
    )


def _is_not_right(surface: Surface, sample: Sample) -> bool:
    return surface.value is not None and sample.status == 200 and sample.value != surface.value


def _recovery(surface: Surface, after: Sequence[Sample], back: float) -> float:
    bad = [
        sample.at + sample.seconds - back
        for sample in after
        if sample.status != 200 or _is_not_right(surface, sample) or sample.degraded
    ]
    return max(bad, default=0.0)


def quantile(samples: Sequence[Sample], share: float = 0.99) -> float:
    """The seconds below which this share of the requests lies; 0 where there are none."""
    seconds = sorted(sample.seconds for sample in samples)
    return seconds[min(len(seconds) - 1, int(len(seconds) * share))] if seconds else 0.0


def _counted(samples: Sequence[Sample], name: Callable[[Sample], str]) -> str:
    found = Counter(name(sample) for sample in samples)
    return ", ".join(f"{each or '-'} x {times}" for each, times in sorted(found.items()))


def as_markdown(outcomes: Iterable[Outcome]) -> str:
    """The rows as a table for the docs."""
    head = "| state | surface | statuses | p99, ms | wrong | stale | said of itself | recovery, s |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for outcome in outcomes:
        lines += [
            f"| {row.state} | {row.surface} | {row.statuses} | {row.p99 * 1000:.0f} | {row.wrong} "
            f"| {row.stale} | {row.degraded_as} | {row.recovery:.1f} |"
            for row in outcome.rows
        ]
    return "\n".join(lines)
