"""All orders of steps and events, breadth first."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.featureflags.cache.model.machine import check, moves
from tests.featureflags.cache.model.state import BrokenPromiseError, Rules, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """How many states there are; and the shortest order that breaks a promise, if there is one."""

    states: int
    trace: tuple[str, ...] = ()
    broken: str = ""

    def __str__(self) -> str:
        if not self.broken:
            return f"holds in {self.states:,} states"
        steps = "\n".join(f"  {number:2}. {name}" for number, name in enumerate(self.trace, 1))
        return f"broken after {len(self.trace)} steps: {self.broken}\n{steps}"


@contextmanager
def without_collecting() -> Iterator[None]:
    """States point at states, and at nothing in a circle: to look for circles among millions takes half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@without_collecting()
def search(start: State, without: Rules = frozenset(), limit: int = 5_000_000) -> Searched:
    """Go through all states that can be reached. Raises OverflowError past `limit` states."""
    parents: dict[State, tuple[State, str] | None] = {start: None}
    level = [start]
    while level:
        following: list[State] = []
        for state in level:
            for name, move in moves(state, without):
                try:
                    after = move()
                    check(after)
                except BrokenPromiseError as broken:
                    trace = (*trace_to(state, parents), name)
                    return Searched(states=len(parents), trace=trace, broken=str(broken))
                if after not in parents:
                    parents[after] = (state, name)
                    following.append(after)
        if len(parents) > limit:
            raise OverflowError(f"more than {limit:,} states")
        level = following
    return Searched(states=len(parents))


def trace_to(state: State, parents: dict[State, tuple[State, str] | None]) -> tuple[str, ...]:
    """The steps that lead to a state."""
    names: list[str] = []
    while (parent := parents[state]) is not None:
        state, name = parent
        names.append(name)
    return tuple(reversed(names))
