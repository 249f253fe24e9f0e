"""The confidence interval of a share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.inspection.outcomes import interval


@given(share=st.floats(0, 1), among=st.integers(1, 5_000))
def test_an_interval_holds_the_share_and_narrows(share: float, among: int) -> None:
    users = round(share * among)
    low, high = interval(users, among)
    assert 0 <= low <= users / among <= high <= 1
    wider = interval(users, among)
    narrower = interval(users * 100, among * 100)
    assert narrower[1] - narrower[0] < wider[1] - wider[0]


def test_an_interval_as_in_the_literature() -> None:
    """10 of 50: 0.112 to 0.330 (Newcombe 1998, method 3)."""
    assert interval(10, 50) == pytest.approx((0.1124, 0.3304), abs=5e-4)
    assert interval(0, 0) == (0.0, 1.0)
