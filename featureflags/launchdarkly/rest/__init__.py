"""A typed client of LaunchDarkly's REST API, for what the SDK cannot do: reading dates, changing.

In: `management_client()`, which takes token, project and environment from the settings. Out: frozen
values (`models`) or a `ManagementError` with the HTTP status, LaunchDarkly's message and what to do.
`retries` says which calls are repeated. Only `transport` imports httpx; no token is ever shown.

>>> from featureflags.launchdarkly.rest.models import RemoteSegment
>>> import msgspec
>>> body = b'{"key": "staff", "name": "Staff", "tags": ["guidon"], "included": []}'
>>> msgspec.json.decode(body, type=RemoteSegment).tags
('guidon',)
"""

from __future__ import annotations

__all__ = ["client", "configuration", "errors", "models", "retries"]
