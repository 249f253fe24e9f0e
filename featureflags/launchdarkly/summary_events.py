"""Summary-only events: how often each variation was served, and nothing about anybody.

LaunchDarkly bills by the contexts that it receives in a month. Each process sends a context
once in five minutes or so, in an `index` event; without it no context is counted. The SDK has no
such setting.
"""

from __future__ import annotations

from typing import Any

from ldclient import Context

# The SDK lets an event processor be given, but not the one that it has by default be reused.
from ldclient.impl.events.event_processor import DefaultEventProcessor
from ldclient.impl.events.types import EventInputEvaluation

NOBODY = Context.builder("nobody").anonymous(True).build()
"""In the place of everybody. Anonymous, so that `omit_anonymous_contexts` keeps it unsaid too."""


class SummaryOnlyEvents(DefaultEventProcessor):
    """Takes only evaluations, and takes the context from each.

    Needs `omit_anonymous_contexts`. What `track` records is about somebody, and is not sent.
    """

    def send_event(self, event: Any) -> None:
        if not isinstance(event, EventInputEvaluation):
            return
        event.context = NOBODY
        event.track_events = False
        super().send_event(event)
