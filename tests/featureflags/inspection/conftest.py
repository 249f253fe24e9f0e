"""Fixtures that several modules of this folder use."""

from __future__ import annotations

import pytest

from featureflags.inspection import variation_counts


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variation_counts, "BATCH", 3)
