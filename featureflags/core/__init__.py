"""What every room needs: settings, JSON types, translation, counters, forks, reads past a cache.

In: Django's settings. Out: values and functions that know nothing of segments, users or flags.

>>> from featureflags.core.conf import FeatureFlagsSettings, Source, source_of
>>> source_of(FeatureFlagsSettings(sdk_key="sdk-1", source="polling"))
<Source.POLLING: 'polling'>
"""

from __future__ import annotations

__all__ = [
    "client_address",
    "conf",
    "database",
    "deadlines",
    "extras",
    "fork_hooks",
    "forks",
    "i18n",
    "index_operations",
    "input_gate",
    "json_view",
    "monitoring",
    "outages",
    "outgoing",
    "publishing",
    "redis_sentinel",
    "requests",
    "settings_check",
    "signals",
    "site_calendar",
    "streaming",
    "times",
    "timetable",
    "timings",
    "types",
    "uncached",
]
