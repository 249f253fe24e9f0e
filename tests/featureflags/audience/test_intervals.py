"""Intervals that cover the truth as often as they say, for each share of the rows."""

from __future__ import annotations

import math

import pytest

from featureflags.audience.intervals import TAIL, Estimate, estimated, shares


def chance(hits: int, size: int, share: float) -> float:
    """Of so many hits, by the binomial distribution."""
    return math.comb(size, hits) * share**hits * (1 - share) ** (size - hits)


@pytest.mark.parametrize("size", [1, 7, 60, 400])
def test_99_of_100_samples_cover_each_share(size: int) -> None:
    intervals = [shares(hits, size) for hits in range(size + 1)]
    for share in [one / 997 for one in range(998)] + [1e-6, 1e-4, 1 - 1e-5]:
        covered = sum(
            chance(hits, size, share)
            for hits, (low, high) in enumerate(intervals)
            if low <= share <= high
        )
        assert covered >= 0.99 - 1e-9, share


@pytest.mark.parametrize(("hits", "size"), [(1, 5), (30, 60), (5, 300), (299, 300)])
def test_the_ends_are_those_of_the_exact_tests(hits: int, size: int) -> None:
    low, high = shares(hits, size)
    assert sum(chance(one, size, low) for one in range(hits, size + 1)) == pytest.approx(TAIL)
    assert sum(chance(one, size, high) for one in range(hits + 1)) == pytest.approx(TAIL)


def test_a_large_sample() -> None:
    # As the normal distribution has it: 0.124 ± 2.5758 * √(0.124 * 0.876 / 100,000).
    assert list(shares(12_400, 100_000)) == pytest.approx([0.1213, 0.1267], abs=2e-4)
    assert list(shares(0, 100_000)) == pytest.approx([0.0, 1 - TAIL ** (1 / 100_000)])
    assert list(shares(100_000, 100_000)) == pytest.approx([TAIL ** (1 / 100_000), 1.0])


def test_an_estimate_counts_rows() -> None:
    assert estimated(12_400, 100_000, 10_000_000) == Estimate(
        about=1_240_000, low=1_213_283, high=1_267_076
    )
    # What the sample has seen is there, and what it has not seen is not all.
    assert estimated(3, 10, 10) == Estimate(about=3, low=3, high=3)
    assert estimated(0, 0, 0) == Estimate(about=0, low=0, high=0)


@pytest.mark.parametrize(("hits", "size"), [(-1, 5), (6, 5)])
def test_impossible_samples_are_refused(hits: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"{hits} of {size}"):
        shares(hits, size)
