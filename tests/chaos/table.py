"""What the load met in each state, against the bounds: the rows of the table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.load import Load, Sample, Surface, surfaces
from tests.chaos.site import WORKERS
from tests.chaos.states import State, Where

BOUND_SECONDS = 0.25
"""p99 of a surface that answers flags, in any state."""
RECOVERY_SECONDS = 5.0
LINES_A_SECOND = 5.0
"""Of the log of one process, while a server is away."""

CALM_SECONDS = 3.0
AFTERWARDS_SECONDS = 6.0
PATIENCE_SECONDS = 60.0
"""How long a machine with other work may take until all is right again."""
RIGHT_AGAIN = 2
"""Right answers in a row of one surface."""


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
    site: Where, state: State[Where], *, seconds: float, rate: float, is_timed: bool = True
) -> Outcome:
    """Put the site into the state under load for `seconds`, and look at what it answered.

    `is_timed`: the bounds in seconds hold, which needs a machine with nothing else to do. Without it only
    orders count: answers come before the state ends, and afterwards all is right again.
    """
    with Load(site, rate) as load:
        time.sleep(CALM_SECONDS if is_timed else 0)
        lines = site.web.log().count("\n")
        began = load.now()
        with state.begin(site):
            began = load.now()
            time.sleep(seconds)
            ended = load.now()
            lines = site.web.log().count("\n") - lines
        back = load.now()
        if is_timed:
            time.sleep(AFTERWARDS_SECONDS)
        else:
            _wait_until_right(load, back)
    period = Period(began=began, ended=ended, back=back)
    rows = [_row(state.name, each, load.samples, period, is_timed) for each in surfaces()]
    return Outcome(rows=rows, lines_a_second=lines / seconds / (WORKERS + 1))


def _wait_until_right(load: Load, back: float) -> None:
    """Until every surface is right again, as long as patience lasts."""
    while load.now() < back + PATIENCE_SECONDS:
        after = [sample for sample in load.finished() if sample.at >= back]
        if all(_is_right_again(surface, after) for surface in surfaces()):
            return
        time.sleep(0.1)


def _is_right_again(surface: Surface, after: Iterable[Sample]) -> bool:
    last = [sample for sample in after if sample.surface == surface.name][-RIGHT_AGAIN:]
    return len(last) == RIGHT_AGAIN and not any(_is_bad(surface, sample) for sample in last)


def _row(
    state: str, surface: Surface, samples: Iterable[Sample], period: Period, is_timed: bool
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
    }
    if is_timed:
        checks[f"p99 {p99 * 1000:.0f} ms"] = surface.evaluates and p99 > BOUND_SECONDS
        checks[f"recovery {recovery:.1f} s"] = recovery > RECOVERY_SECONDS
    else:
        checks["answers waited for the end"] = surface.evaluates and _have_waited(during, period)
        checks["not right again"] = not _is_right_again(surface, after)
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


def _have_waited(during: Iterable[Sample], period: Period) -> bool:
    """Most of the requests of the first half were answered only after the state had ended."""
    middle = (period.began + period.ended) / 2
    early = [sample for sample in during if sample.at < middle]
    late = [sample for sample in early if sample.at + sample.seconds >= period.ended]
    return len(late) > len(early) / 2


def _is_bad(surface: Surface, sample: Sample) -> bool:
    """It failed, was not right, or said that it may not be."""
    return sample.status != 200 or _is_not_right(surface, sample) or bool(sample.degraded)


def _recovery(surface: Surface, after: Sequence[Sample], back: float) -> float:
    bad = [sample.at + sample.seconds - back for sample in after if _is_bad(surface, sample)]
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
