"""Which rows become contexts: kinds, declared by the project in `kinds.py` of any installed app.

In: a model of the project, and its fields, paths and expressions. Out: a compiled kind, which reads
rows into snapshots (frozen, JSON types) and names attributes, keys and watches.

>>> from featureflags.kinds.registry import user_kind
>>> kind = user_kind()
>>> kind.name, kind.model.__name__, [slot.name for slot in kind.slots][:3]
('user', 'User', ['email', 'email_verified', 'name'])
>>> [attribute.name for attribute in kind.attributes][:4]
['key', 'email', 'email_domain', 'email_verified']
>>> kind.parse_key("not a key of anybody") is None
True
"""

from __future__ import annotations

from featureflags.kinds.declaration import (
    Boolean,
    DaysSince,
    Domain,
    Instant,
    Kind,
    Many,
    Metadata,
    Number,
    Related,
    Text,
    WatchRows,
)

__all__ = [
    "Boolean",
    "DaysSince",
    "Domain",
    "Instant",
    "Kind",
    "Many",
    "Metadata",
    "Number",
    "Related",
    "Text",
    "WatchRows",
    "attribute",
    "compiled",
    "declaration",
    "functions",
    "nouns",
    "reads",
    "registry",
    "segmentation",
    "slots",
    "snapshot",
    "watches",
]
