"""Settings for processes that end while nothing is acknowledged: they wait half a second."""

from __future__ import annotations

from config.settings.development import *  # noqa: F403 - as settings do
from config.settings.development import FEATUREFLAGS

FEATUREFLAGS = {**FEATUREFLAGS, "CLOSE_WAIT": 0.5}
