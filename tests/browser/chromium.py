"""Where Chromium is, and what a run says that has none. Imports nothing but the standard library."""

from __future__ import annotations

import os
import shutil
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
PATH_VARIABLE: Final = "GUIDON_CHROMIUM"
"""Names another executable."""

REQUIRED_VARIABLE: Final = "GUIDON_BROWSER_REQUIRED"
"""Set by `.ci/run`: without a browser the run fails."""

PICTURES_VARIABLE: Final = "GUIDON_PICTURES"
"""Set where pages are to be looked at: `shot` keeps them. They are a fifth of the time of such tests."""

MISSING: Final = (
    "NO BROWSER TESTS WERE RUN: there is no Chromium (apt-get install chromium,"
    f" or name one in {PATH_VARIABLE})"
)

OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """The path of the executable, or None."""
    named = os.environ.get(PATH_VARIABLE)
    if named:
        return shutil.which(named)
    return next(filter(None, map(shutil.which, NAMES)), None)


def keeps_pictures() -> bool:
    """Whether `shot` keeps pictures."""
    return bool(os.environ.get(PICTURES_VARIABLE))


def is_required() -> bool:
    """Whether a run without a browser fails rather than skips."""
    return bool(os.environ.get(REQUIRED_VARIABLE))
