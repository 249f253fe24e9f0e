"""The settings of the benchmark of the API: those of the tests, with an empty view beside the site's."""

from __future__ import annotations

from config.settings import testing
from config.settings.testing import *  # noqa: F403 - Django reads settings as names of this module

ROOT_URLCONF = "tests.benchmarks.api_urls"
FEATUREFLAGS = {
    **testing.FEATUREFLAGS,
    # As in production: a call of a limited key costs its count.
    "THROTTLE_KEY": 10_000_000,
}
