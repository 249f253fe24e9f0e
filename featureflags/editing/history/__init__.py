"""The history of segments: recorded with every changeset, read in words, restored.

In: a closing changeset (`record`), or the key of a segment (`entries_of`), also of one that is deleted.
Out: entries in words, older states, and the change that restores one. An entry holds the segment as it
was before and after:

>>> from featureflags.models import HistoryEntry
>>> entry = HistoryEntry(
...     segment_key="beta", kind=HistoryEntry.Kind.CREATED, version=1, before=None,
...     after={
...         "key": "beta", "name": "Beta", "description": "", "isActive": True, "version": 1,
...         "rules": [],
...     },
... )
>>> state_after(entry)
SegmentState(key='beta', name='Beta', description='', is_active=True, rules=[], version=1, kind='user', tags=(), owner='', is_archived=False, salt='')

With a database:

    entry = entries_of("beta")[0]
    describe([entry], sees=())[0].lines
    # ('Rule 1: changed condition: plan is any of "pro" → plan is any of "team"',)
    apply(examine(restoration(entry).change), source="admin")
"""

from __future__ import annotations

from featureflags.editing.history.entries import (
    DescribedEntry,
    changed_since,
    describe,
    entries_of,
    members_after,
    state_after,
    state_at,
)
from featureflags.editing.history.recording import record
from featureflags.editing.history.restore import Restoration, restoration

__all__ = [
    "DescribedEntry",
    "Restoration",
    "changed_since",
    "describe",
    "entries_of",
    "members_after",
    "record",
    "restoration",
    "state_after",
    "state_at",
]
