"""Settings and flags that the checks are tried with."""

from __future__ import annotations

from pytest_django.fixtures import Settings

HERE = "tests.featureflags.test_checks"


def change(settings: Settings, **values: object) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **values}
