"""Times steps in turns with the call that they are compared with. The best of many runs counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

RUNS = 150
SECONDS = 0.004
"""About how long one run of one step takes. Runs are short and many: nothing disturbs the best."""
REPEATS = 100
"""Later checks within one unit are timed so many at once."""

Step = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Microseconds for one call, and the ratio to a raw call of the SDK measured at the same time."""

    us: float
    ratio: float


class Timer:
    """The best time of each step, in turns with the raw call that it is compared with."""

    def __init__(self, raw: Step) -> None:
        self._raw = repeated(raw)

    def best(self, steps: dict[str, Step], per: int = 1) -> dict[str, Figure]:
        """Time these steps in turns; each does its work `per` times in one call."""
        counts = {name: _count(step) for name, step in steps.items()}
        raw, found = float("inf"), dict.fromkeys(steps, float("inf"))
        for _ in range(RUNS):
            raw = min(raw, _timed(self._raw, 1) / REPEATS)
            for name, step in steps.items():
                found[name] = min(found[name], _timed(step, counts[name]) / per)
        return {
            name: Figure(us=round(took * 1e6, 2), ratio=round(took / raw, 3))
            for name, took in found.items()
        }


def _timed(step: Step, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - started) / count


def _count(step: Step) -> int:
    step()
    return max(1, int(SECONDS / max(1e-7, min(_timed(step, 3) for _ in range(3)))))


def repeated(step: Step) -> Step:
    def work() -> None:
        for _ in range(REPEATS):
            step()

    return work
