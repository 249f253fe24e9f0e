"""The percentage that a rule takes of those who match, with LaunchDarkly's own buckets.

A row's bucket, from 0 to 1, is a hash of the segment's key, its salt and the row's value of one
attribute. It never changes while these stay, so that a larger percentage keeps everybody that the
smaller one took. Pure; the numbers are those of the SDK, ``ldclient/impl/evaluator_common.py``.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from typing import Final, TypeAlias

from featureflags.core.i18n import gettext
from featureflags.core.types import Attributes
from featureflags.segments.definitions import Rule, SegmentDefinition
from featureflags.segments.references import attribute_path

Predicate: TypeAlias = Callable[[Attributes, AbstractSet[str], int], bool]
Reader: TypeAlias = Callable[[Attributes], object]

WHOLE: Final = 100_000
"""The weight of everybody."""
KEY: Final = "key"
"""The attribute of a rule that names none."""

_DIGITS: Final = 15
"""Hexadecimal digits of the hash that count."""
_SCALE: Final = float(0xFFFFFFFFFFFFFFF)
"""The SDK's divisor; as a double it is 2**60."""
_EVERY_HASH: Final = "g"
"""Sorts behind every hexadecimal digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledPercentage:
    """The percentage of a rule: who is taken, and in which bucket somebody is."""

    weight: int
    path: tuple[str, ...]
    seed: str
    read: Reader
    takes: Callable[[object], bool]
    """Whether the rule takes a row with this value."""

    def held(self, attributes: Attributes, _matched: AbstractSet[str], _now: int) -> bool:
        """The same of a row's attributes, as a clause asks it."""
        return self.takes(self.read(attributes))

    def bucket(self, attributes: Attributes) -> float | None:
        """From 0 to 1; None for a value at which the SDK raises: nobody is taken by it."""
        found = _hash_of(self.seed, self.read(attributes))
        return None if found is None else int(found, 16) / _SCALE if found else 0.0


def seed_of(definition: SegmentDefinition) -> str:
    """What is hashed before a row's value."""
    return f"{definition.bucket_key or definition.key}.{definition.salt}."


def bucket_path(bucket_by: str, context_kind: str | None, kind: str) -> tuple[str, ...]:
    """The path of the attribute by which a rule of a segment of this kind takes its percentage.

    Raises ValueError for a bad reference, and for the percentage of another kind.
    """
    if context_kind not in {None, kind}:
        message = gettext("the percentage is of %(context_kind)r, and the segment on %(kind)r")
        raise ValueError(message % {"context_kind": context_kind, "kind": kind})
    return attribute_path(bucket_by, context_kind) if bucket_by else (KEY,)


def compile_percentage(
    weight: int, path: tuple[str, ...], read: Reader, seed: str
) -> CompiledPercentage:
    """Compile a weight; ``read`` follows the path, ``seed`` is that of the segment."""
    end, takes_zero = first_hash_beyond(weight), weight > 0

    def takes(value: object) -> bool:
        found = _hash_of(seed, value)
        return found < end if found else takes_zero and found is not None

    return CompiledPercentage(weight=weight, path=path, seed=seed, read=read, takes=takes)


@lru_cache(maxsize=1024)
def first_hash_beyond(weight: int) -> str:
    """The least hash, as text, that a weight does not take.

    The SDK compares ``hash / 2**60`` with ``weight / 100000.0`` as doubles, which round: the limit is
    found with the SDK's own arithmetic. Hashes sort as their digits do.
    """
    limit = weight / 100000.0
    if limit > 1.0:
        return _EVERY_HASH
    found = bisect_left(range(2**60), limit, key=lambda number: number / _SCALE)
    return f"{found:0{_DIGITS}x}"


def _hash_of(seed: str, value: object) -> str | None:
    """The digits that count; empty for a value without a hash, which is bucket 0; None: see `bucket`.

    Only texts and integers have a hash: a boolean, a fraction, a list and a missing value have none.
    """
    if isinstance(value, str):
        text = str.__str__(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        try:
            text = str(value)
        except ValueError:
            # Python writes no more than 4,300 digits.
            return None
    else:
        return ""
    try:
        hashed = sha1((seed + text).encode(), usedforsecurity=False)
    except UnicodeEncodeError:
        return None
    return hashed.hexdigest()[:_DIGITS]


def percent(weight: int) -> str:
    """A weight as a number of per cent: ``10``, ``0.5``."""
    return f"{weight / 1000:g}"


def share_in_words(rule: Rule) -> str:
    """The percentage of a rule: ``of these the first 10 % by key``."""
    return gettext("of these the first %(percent)s %% by %(attribute)s") % {
        "percent": percent(rule.weight or 0),
        "attribute": rule.bucket_by or KEY,
    }


def bucket_in_words(bucket: float | None, weight: int) -> str:
    """Why a bucket is taken or not: ``their bucket is 37.214 %, the rule takes the first 10 %``."""
    if bucket is None:
        return gettext("their value has no bucket: no match")
    # Rounded down, so that it is never the limit itself that is shown for a bucket below it.
    return gettext("their bucket is %(bucket)s %%, the rule takes the first %(percent)s %%") % {
        "bucket": percent(math.floor(bucket * WHOLE)),
        "percent": percent(weight),
    }
