"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from featureflags.cache import snapshot_store

Queries = Callable[[int], Any]


class RoundTrips:
    """How often the cache was read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        backend: Any = type(snapshot_store.backend())
        for name in ("read", "send_read"):
            monkeypatch.setattr(backend, name, self._counted(getattr(backend, name)))

    def _counted(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.count += 1
            return read(*arguments)

        return counted

    def __call__(self) -> int:
        """Since the last time."""
        count, self.count = self.count, 0
        return count
