"""LaunchDarkly's SDK: one client a process, its feature store, its events, its end.

In: the settings (`FEATUREFLAGS`), a context. Out: answers (`evaluator`), the raw flags and segments
(`client.feature_store`), the state of the connection (`status`). Only this room and
`contexts.building` import `ldclient`. `rest` calls LaunchDarkly's REST API, `segment_sync` keeps
segments there in step with ours.

>>> from featureflags.launchdarkly.status import ConnectionStatus, State
>>> from featureflags.core.conf import Source
>>> status = ConnectionStatus(source=Source.STREAMING, state=State.VALID, flags=12, pid=7)
>>> status.to_dict()["state"], status.to_dict()["flags"]
('valid', 12)
"""

from __future__ import annotations

__all__ = [
    "asgi_lifespan",
    "client",
    "evaluator",
    "listeners",
    "preload",
    "rest",
    "sdk_config",
    "segment_sync",
    "status",
]
