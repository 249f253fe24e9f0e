"""Names that come from outside do not become counters and labels without end."""

from __future__ import annotations

import logging

import pytest

from featureflags.contexts.building import bare_context, with_extra
from featureflags.core import monitoring
from featureflags.core.monitoring import MOST_NAMES, OTHER, counts, report

logger = logging.getLogger("featureflags.tests")


def test_each_kind_has_a_limit_of_names_and_one_for_the_rest() -> None:
    monitoring.forget()
    for number in range(5_000):
        report(logger, f"attribute_dropped:a{number}", "%s", number)
    report(logger, "attribute_dropped:a7", "again")
    report(logger, "cache_read_failed", "another kind")
    found = counts()
    assert len(found) == MOST_NAMES + 2
    assert found["attribute_dropped:a7"] == 2, "a name that is known goes on"
    assert found[f"attribute_dropped:{OTHER}"] == 5_000 - MOST_NAMES
    assert found["cache_read_failed"] == 1
    assert sum(found.values()) == 5_002, "nothing is lost"


def test_the_rest_is_logged_once_a_minute_too(caplog: pytest.LogCaptureFixture) -> None:
    monitoring.forget()
    with caplog.at_level(logging.WARNING, "featureflags"):
        for number in range(500):
            report(logger, f"attribute_dropped:a{number}", "%s", number)
    assert len(caplog.records) == MOST_NAMES + 1


def test_refused_attributes_of_callers(settings: pytest.FixtureRequest) -> None:
    monitoring.forget()
    given = {**settings.FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": False}  # type: ignore[attr-defined]
    settings.FEATUREFLAGS = given  # type: ignore[attr-defined]  # pytest-django's settings
    for number in range(5_000):
        with_extra(bare_context("ada"), {f"a{number}": object()})
    assert len(counts()) == MOST_NAMES + 1
