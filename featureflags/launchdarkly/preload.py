"""Imports what the SDK itself imports when a client is made, or first finds its server."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Final

LATE: Final = (
    "encodings.idna",
    "importlib.readers",
    "importlib.resources.readers",
    "ldclient.impl.datasystem.fdv1",
)
"""Of SDK 9.18; another release may do without some."""


def preload() -> None:
    for name in LATE:
        with suppress(ImportError):
            import_module(name)
