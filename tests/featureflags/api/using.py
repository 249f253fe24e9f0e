"""Other settings for one test."""

from __future__ import annotations

from typing import Any

from pytest_django.fixtures import Settings


def use(settings: Settings, **given: Any) -> None:
    """Change these keys of FEATUREFLAGS."""
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **given}
