"""Values of attributes as suggestions for the author of a rule.

A random sample of all users shows the keys of their metadata, the types, and the frequent values.
Private and withheld values are never suggested, nor a value that only one user has.
Hidden SQL: one query for the sample, once in ten minutes, and what `day_sample` asks. The hourly count
renews it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import msgspec
from django.core.cache import caches

from featureflags.audience.day_sample import SMALL, day_sample
from featureflags.contexts.attributes import CUSTOM_PREFIX, Privacy, attributes_of
from featureflags.contexts.privacy import privacy_of
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import JSONValue
from featureflags.kinds.registry import USER, kind_or_user
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.moments import moment_of
from featureflags.segments.values import parse_semver

SAMPLED: Final = 2_000
MOST_KEYS: Final = 100
"""Keys of metadata, the most frequent ones."""
MOST_VALUES: Final = 20
"""Of each attribute, the most frequent ones."""
LONGEST_VALUE: Final = 64
SEEN_BY: Final = 2
"""Users who must have a value: a rarer one may identify a person."""

CACHE_KEY: Final = "attribute-suggestions"
CACHE_SECONDS: Final = 600

TYPE_NAMES: Final = {
    str: AttributeType.STRING,
    bool: AttributeType.BOOLEAN,
    list: AttributeType.LIST,
    int: AttributeType.NUMBER,
    float: AttributeType.NUMBER,
}


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """Types and values of one attribute."""

    types: tuple[str, ...] = ()
    """`string`, `datetime` and `semver` for texts that are such, `number`, `boolean`, `list` or `other`, the
    most frequent one first."""
    values: tuple[str, ...] = ()
    """Texts, the most frequent one first."""


def suggestions(kind: str = USER, *, renew: bool = False) -> Mapping[str, Suggestion]:
    """Suggestions by the name of the attribute of a kind; at most ten minutes old."""
    cache, name = caches["default"], f"{CACHE_KEY}:{kind}"
    kept = None if renew else cache.get(name)
    if isinstance(kept, bytes):
        return msgspec.json.decode(kept, type=dict[str, Suggestion])
    found = _suggestions(_sample(kind))
    cache.set(name, msgspec.json.encode(found), CACHE_SECONDS)
    return found


def _sample(name: str) -> Iterator[tuple[Mapping[str, JSONValue], Collection[str]]]:
    """The attributes of random rows of a kind, and the names of those that may be shown.

    Of the newest ones while a large table has no sample: until the first hourly count.
    """
    kind, now = kind_or_user(name), now_in_microseconds()
    sample = day_sample(kind)
    newest = kind.rows().order_by(f"-{kind.created or kind.key}")
    rows = newest if sample is None else sample.rows(SMALL)
    for snapshot in kind.snapshots(rows[:SAMPLED]):
        attributes = attributes_of(snapshot, now)
        public = {
            name
            for name in attributes
            if name != "key" and privacy_of(name, kind.name) is Privacy.PUBLIC
        }
        yield attributes, public


def _suggestions(
    sample: Iterable[tuple[Mapping[str, JSONValue], Collection[str]]],
) -> dict[str, Suggestion]:
    types: dict[str, Counter[str]] = {}
    values: dict[str, Counter[str]] = {}
    for attributes, shown in sample:
        for name, value in attributes.items():
            types.setdefault(name, Counter())[_type_name(value)] += 1
            values.setdefault(name, Counter()).update(_texts(value) if name in shown else ())
    metadata = (name for name in types if name.startswith(CUSTOM_PREFIX))
    frequent = sorted(metadata, key=lambda name: (-types[name].total(), name))[:MOST_KEYS]
    known = [name for name in types if not name.startswith(CUSTOM_PREFIX)]
    return {
        name: Suggestion(
            types=tuple(kind for kind, _ in types[name].most_common()),
            values=tuple(
                text for text, seen in values[name].most_common(MOST_VALUES) if seen >= SEEN_BY
            ),
        )
        for name in (*known, *frequent)
    }


def _type_name(value: JSONValue) -> str:
    if isinstance(value, str) and value[:1].isdigit():
        if moment_of(value) is not None:
            return AttributeType.DATETIME
        if "." in value and parse_semver(value) is not None:
            return AttributeType.SEMVER
    return TYPE_NAMES.get(type(value), "other")


def _texts(value: JSONValue) -> Iterator[str]:
    """The texts that a rule can name: the value itself, or the elements of a list."""
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and 0 < len(text) <= LONGEST_VALUE:
            yield text
