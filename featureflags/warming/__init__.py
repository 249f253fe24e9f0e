"""Fills the cache with the snapshots of many users before anybody asks for them.

In: a scope (users seen lately, or all). Out: cached entries, and a report of the run. The command
`warm_contexts`, the nightly task and Celery workers share it: a run is cut into ranges of the user's
key (`ranges`), a worker takes a lease on one after another (`leases`), and reads, compares and writes
it in batches (`batches`). An entry that is still good stays as it is.

>>> from featureflags.warming.scope import Scope
>>> lately, everybody = Scope(days=7), Scope(days=None)
>>> str(lately), everybody.covers(lately), lately.covers(everybody)
('users seen within 7 days', True, False)
"""

from __future__ import annotations

__all__ = ["leases", "progress", "runs", "scope", "worker"]
