"""How many examples a proof takes, and the account of what they covered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from hypothesis import HealthCheck, event, settings

from tests.profiles import PROFILE

EXAMPLES = {"quick": 100, "deep": 20_000}.get(PROFILE, 100)
"""For each operator family. `make quick` and `make test-deep` set the profile."""

SMALLEST_SHARE = {"quick": 0.01, "deep": 0.05}.get(PROFILE, 0.02)
"""A few hundred examples hold some operators rarely."""

PROOF = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SAMPLE = settings(PROOF, max_examples=EXAMPLES // 4)
"""For properties beside the proof by operator family."""


class Tally:
    """Counts what the examples of one proof held, and refuses one that proves too little."""

    def __init__(self) -> None:
        self.total = 0
        self.counts: Counter[str] = Counter()

    def record(self, answer: bool | None, ops: Iterable[str]) -> None:
        """Count an example: the SDK's answer (None if it has none) and the operators in it."""
        self.total += 1
        outcome = {True: "match", False: "no match", None: "the SDK cannot answer"}[answer]
        for label in {outcome, *ops}:
            self.counts[label] += 1
            event(label)

    def check(self, ops: Collection[str]) -> None:
        """Fail unless matches, non-matches and every operator have their share."""
        assert self.total >= EXAMPLES, self.total
        shares = {label: self.counts[label] / self.total for label in ("match", "no match", *ops)}
        assert min(shares.values()) >= SMALLEST_SHARE, shares
