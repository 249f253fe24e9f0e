"""How many of all rows have what some of a random sample have: an estimate with its 99 % interval.

The interval is Clopper's and Pearson's, which covers at least 99 of 100 samples for each share, however
small: https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval. Sampling without
replacement only narrows the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

TAIL: Final = 0.005
"""The chance of a miss on each side: together 1 %."""
STEPS: Final = 40
"""Halvings of an interval of shares: its width is then below 1e-12."""
MOST_TERMS: Final = 10_000
"""Of the continued fraction; some hundred are enough for a sample of 100,000."""
TINY: Final = 1e-300
CLOSE: Final = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """About how many rows, and the numbers between which the truth lies in 99 of 100 samples."""

    about: int
    low: int
    high: int


def estimated(hits: int, size: int, total: int) -> Estimate:
    """Of `total` rows, if `hits` of a random sample of `size` rows have it."""
    low, high = shares(hits, size)
    return Estimate(
        about=round(total * hits / size) if size else 0,
        low=max(hits, math.floor(total * low)),
        high=min(math.ceil(total * high), total - (size - hits)),
    )


def shares(hits: int, size: int) -> tuple[float, float]:
    """The smallest and the largest share of all rows for which so many hits are not surprising."""
    if hits < 0 or hits > size:
        raise ValueError(f"{hits} of {size}")
    low = 0.0 if hits == 0 else _share_with(TAIL, hits, size - hits + 1, size)
    high = 1.0 if hits == size else _share_with(1 - TAIL, hits + 1, size - hits, size)
    return low, high


def _share_with(chance: float, a: int, b: int, size: int) -> float:
    """The quantile of the beta distribution with the parameters `a` and `b`."""
    middle = a / (a + b)
    # Eight standard deviations of a normal distribution, and of the skewed ones near 0 and 1.
    reach = (8 * math.sqrt(a * b / (a + b)) + 16) / size
    low, high = max(0.0, middle - reach), min(1.0, middle + reach)
    for _ in range(STEPS):
        between = (low + high) / 2
        if _below(between, a, b) < chance:
            low = between
        else:
            high = between
        if high - low <= CLOSE * high:
            break
    return (low + high) / 2


def _below(share: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_share(a, b)."""
    if share <= 0 or share >= 1:
        return float(share >= 1)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log + a * math.log(share) + b * math.log1p(-share))
    if share < (a + 1) / (a + b + 2):
        return front * _fraction(share, a, b) / a
    return 1 - front * _fraction(1 - share, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Its continued fraction, by Lentz's method: https://dlmf.nist.gov/8.17.v"""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            found *= c * d
        if abs(c * d - 1) < CLOSE:
            break
    return found


def _not_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY
