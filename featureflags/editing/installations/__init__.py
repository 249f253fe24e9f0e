"""Segments compared with those of another installation of Guidon, and carried there or from there.

In: the name of an installation in the setting `INSTALLATIONS`, which holds its address and an API key. Out:
what differs; and changes, examined first on the side that they are made on, then applied there. Members by
name stay where they are: they are users of their own installation. So does the owner.
"""

from __future__ import annotations

from featureflags.editing.installations.client import (
    Installation,
    InstallationError,
    configured,
    connected,
)
from featureflags.editing.installations.differences import Difference, differences
from featureflags.editing.installations.promoting import (
    Pushed,
    RemoteExamination,
    examine_there,
    pull_document,
    push,
)

__all__ = [
    "Difference",
    "Installation",
    "InstallationError",
    "Pushed",
    "RemoteExamination",
    "configured",
    "connected",
    "differences",
    "examine_there",
    "pull_document",
    "push",
]
