"""Which visitors have a context of their own in events, as the setting `visitor_events` says."""

from __future__ import annotations

from typing import Any

from ldclient import Config

# As for `summary_events`: a processor may be given, and the default one not be reused in public.
from ldclient.impl.events.diagnostics import _DiagnosticAccumulator, create_diagnostic_id
from ldclient.impl.events.event_processor import DefaultEventProcessor

from featureflags.contexts.new_visitors import for_events, without_visitors


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
