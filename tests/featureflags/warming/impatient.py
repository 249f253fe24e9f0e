"""Settings for workers that are killed: nobody waits half a minute for a lease to end."""

from __future__ import annotations

from config.settings.testing import *  # noqa: F403 - as settings do
from config.settings.testing import FEATUREFLAGS

FEATUREFLAGS = {**FEATUREFLAGS, "WARM_LEASE_SECONDS": 2.0, "WARM_RANGE": 20}
