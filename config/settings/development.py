"""The embedded default of `make run`: helpful errors, nothing secret, nothing to install."""

from __future__ import annotations

from config.settings.base import *
from config.settings.base import FEATUREFLAGS, LOGGING
from config.settings.environment import env

DEBUG = env.bool("DEBUG", default=True)
FEATUREFLAGS = {**FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": True}

LOGGING = {
    **LOGGING,
    "loggers": {
        **LOGGING["loggers"],
        # Django adds a handler of its own where DEBUG is on: each line would be there twice.
        "django": {"handlers": []},
        "django.utils.autoreload": {"level": "WARNING"},
    },
}
