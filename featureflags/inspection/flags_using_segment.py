"""Which flags target a Django segment, and on which way, in words.

A clause targets the segment X where it tests the attribute `segments` with X among its values, or
the attribute `/segment/X`. A flag does if one of its rules has such a clause, or a clause that
asks for a LaunchDarkly segment of which that is true (`segmentMatch`), or if a flag that it needs
first does. A flag that is off is told too, since somebody may turn it on; `Use.live` tells them apart.
"""

from __future__ import annotations

from collections.abc import Collection

from featureflags.inspection.clauses import names_of, targets_among
from featureflags.inspection.flag_parsing import RawData
from featureflags.inspection.targeting_paths import Step as Step
from featureflags.inspection.targeting_paths import Use as Use
from featureflags.inspection.targeting_paths import Walk


def uses_of(segment: str, data: RawData) -> list[Use]:
    """All uses of one Django segment, by flag, the shortest way to each condition first."""
    return uses_of_each([segment], data)[segment]


def uses_of_each(segments: Collection[str], data: RawData) -> dict[str, list[Use]]:
    """As `uses_of`, for many segments on one walk through the flags; a list for each of them."""
    found: dict[str, list[Use]] = {segment: [] for segment in segments}
    walk = Walk(data)
    for flag in sorted(data.get("flags", {})):
        for condition in walk.from_flag(flag):
            for segment, by_name in targets_among(condition.clause, found.keys()).items():
                found[segment].append(condition.use(flag, segment, by_name=by_name))
    return found


def uses_by_flag(data: RawData) -> dict[str, list[Use]]:
    """For every flag, by key, the Django segments that it names, and on which ways."""
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
    """Every Django segment that a flag names, whether it exists or not, with its uses."""
    found: dict[str, list[Use]] = {}
    for uses in uses_by_flag(data).values():
        for use in uses:
            found.setdefault(use.segment, []).append(use)
    return dict(sorted(found.items()))
