"""Which flags use a Django segment, and by which path.

A clause targets the segment X if it tests the attribute `segments` with X among its values, or the
attribute `/segment/X`. A flag uses X if one of its rules has such a clause, or a `segmentMatch` on a
LaunchDarkly segment that has one, or if one of its prerequisites uses X. Flags that are off are
included, since they can be turned on; `Use.live` is False for them.
"""

from __future__ import annotations

from collections.abc import Collection

from featureflags.inspection.clauses import names_of, targets_among
from featureflags.inspection.flag_parsing import RawData
from featureflags.inspection.targeting_paths import Step as Step
from featureflags.inspection.targeting_paths import Use as Use
from featureflags.inspection.targeting_paths import Walk


def uses_of(segment: str, data: RawData) -> list[Use]:
    """All uses of one Django segment, by flag, the shortest path to each clause first."""
    return uses_of_each([segment], data)[segment]


def uses_of_each(segments: Collection[str], data: RawData) -> dict[str, list[Use]]:
    """As `uses_of` for many segments, in one pass; each of them has a list."""
    found: dict[str, list[Use]] = {segment: [] for segment in segments}
    walk = Walk(data)
    for flag in sorted(data.get("flags", {})):
        for condition in walk.from_flag(flag):
            for segment, by_name in targets_among(condition.clause, found.keys()).items():
                found[segment].append(condition.use(flag, segment, by_name=by_name))
    return found


def uses_by_flag(data: RawData) -> dict[str, list[Use]]:
    """For every flag, by key, its uses of Django segments that it names."""
    walk = Walk(data)
    return {
        flag: [
            condition.use(flag, segment, by_name=True)
            for condition in walk.from_flag(flag)
            for segment in names_of(condition.clause)
        ]
        for flag in sorted(data.get("flags", {}))
    }


def named_segments(data: RawData) -> dict[str, list[Use]]:
    """Every segment that a flag names, whether Django has it or not, with its uses."""
    found: dict[str, list[Use]] = {}
    for uses in uses_by_flag(data).values():
        for use in uses:
            found.setdefault(use.segment, []).append(use)
    return dict(sorted(found.items()))
