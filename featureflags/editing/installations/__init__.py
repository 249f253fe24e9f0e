"""Segments compared with those of another installation of Guidon, and promoted there or from there.

In: the name of an installation in the setting `INSTALLATIONS`, which holds its address and an API key. Out:
what differs; and changes, examined first on the side that they are made on, then applied there, all of them or
none. Members by name and owners are promoted too if that is asked for: found on the other side by e-mail address, or
by the title of their kind.
"""

from __future__ import annotations

from featureflags.editing.history.entries import PROMOTED
from featureflags.editing.installations.client import (
    Installation,
    InstallationError,
    configured,
    connected,
)
from featureflags.editing.installations.differences import Difference, compare, differences
from featureflags.editing.installations.exchange import (
    LeftOut,
    Received,
    Sent,
    as_document,
    receive,
    send,
    send_page,
)
from featureflags.editing.installations.promoting import (
    Examined,
    Pull,
    Push,
    RemoteExamination,
    problem_of,
    refuse_problems,
)

__all__ = [
    "PROMOTED",
    "Difference",
    "Examined",
    "Installation",
    "InstallationError",
    "LeftOut",
    "Pull",
    "Push",
    "Received",
    "RemoteExamination",
    "Sent",
    "as_document",
    "compare",
    "configured",
    "connected",
    "differences",
    "problem_of",
    "receive",
    "refuse_problems",
    "send",
    "send_page",
]
