"""The embedded default of `make run`: helpful errors, nothing secret, nothing to install."""

from __future__ import annotations

from config.settings.base import *
from config.settings.base import FEATUREFLAGS
from config.settings.environment import env

DEBUG = env.bool("DEBUG", default=True)
FEATUREFLAGS = {**FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": True}
