"""Processors that change whose contexts events hold: nobody's, or not those of visitors.

LaunchDarkly bills by the contexts that it receives in a month. Each process sends a context
once in five minutes or so, in an `index` event; without it no context is counted. The SDK has no
such settings: `summary_events_only` and `visitor_events` are ours.
"""

from __future__ import annotations

from typing import Any

from ldclient import Config, Context

# The SDK lets an event processor be given, but not the one that it has by default be reused in public.
from ldclient.impl.events.diagnostics import _DiagnosticAccumulator, create_diagnostic_id
from ldclient.impl.events.event_processor import DefaultEventProcessor
from ldclient.impl.events.types import EventInputEvaluation

from featureflags.contexts.new_visitors import for_events, without_visitors

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


class _WithDiagnostics(DefaultEventProcessor):
    """The SDK gives its diagnostics only to the processor that it makes itself."""

    def __init__(self, config: Config) -> None:
        is_wanted = not config.diagnostic_opt_out
        found = _DiagnosticAccumulator(create_diagnostic_id(config)) if is_wanted else None
        super().__init__(config, diagnostic_accumulator=found)  # type: ignore[no-untyped-call]  # the SDK


class ReturningVisitorEvents(_WithDiagnostics):
    """Puts one shared context in the place of each visitor whose cookie has not come back yet."""

    def send_event(self, event: Any) -> None:
        event.context = for_events(event.context)
        super().send_event(event)


class UserEvents(_WithDiagnostics):
    """Puts one shared context in the place of each visitor."""

    def send_event(self, event: Any) -> None:
        event.context = without_visitors(event.context)
        super().send_event(event)
