"""Estimates as people read them: no digit that is not known, and no interval that promises too much."""

from __future__ import annotations

import pytest

from featureflags.admin.shared.formatting import estimate_in_words
from featureflags.audience import Estimate


@pytest.mark.parametrize(
    ("about", "low", "high", "words"),
    [
        (1_243_100, 1_220_000, 1_266_000, "about 1.24 million (± 3 %)"),
        (1_240_000, 1_216_000, 1_264_000, "about 1.24 million (± 2 %)"),
        (12_000_000, 11_990_000, 12_010_000, "about 12 million (± 1 %)"),
        (124_310, 112_000, 137_000, "about 124,000 (± 11 %)"),
        (999_700, 990_000, 1_009_000, "about 1 million (± 1 %)"),
        (300, 151, 449, "about 300 (± 50 %)"),
        # Too wide for one number: the ends, rounded away from each other.
        (500, 211, 1_312, "between 210 and 1,400"),
        (1, 1, 371, "between 1 and 380"),
        (0, 0, 529, "at most 530"),
        (0, 0, 1_299_999, "at most 1.3 million"),
        (7, 7, 7, "7"),
        (0, 0, 0, "0"),
    ],
)
def test_in_words(about: int, low: int, high: int, words: str) -> None:
    assert "".join(estimate_in_words(Estimate(about=about, low=low, high=high))) == words
