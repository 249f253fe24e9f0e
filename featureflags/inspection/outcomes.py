"""What users get from a flag, and how many of them: the entries of `FlagCount.tally`.

The entry of the users for whom rule 2 serves the first variation:

    {"variation": 0, "value": true, "reason": "RULE_MATCH", "rule": 2, "users": 1284}

Pure: no query, no SDK.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from featureflags.contexts.results import Evaluation
from featureflags.core.json_view import JSONView
from featureflags.core.types import JSONValue

Z_95: Final = 1.96
"""Standard deviations of a 95 % confidence interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(JSONView):
    """A value, its reason, and how many users get it: an entry of `FlagCount.tally`."""

    variation: int | None
    """None: a default, or a forced value."""
    value: JSONValue
    reason: str
    """The kind of LaunchDarkly's reason; `ERROR:KIND` for an error."""
    rule: int | None
    """The number of the rule, from 1, as the flag was then."""
    users: int

    @property
    def what(self) -> tuple[int | None, str, str, int | None]:
        """What two outcomes must share to be one. The value as JSON, since True equals 1 in Python."""
        return self.variation, json.dumps(self.value, sort_keys=True), self.reason, self.rule


def outcomes(tally: list[Mapping[str, Any]]) -> list[Outcome]:
    """The outcomes in a tally, the most frequent first."""
    found = [Outcome(**raw) for raw in tally]
    return sorted(found, key=lambda each: -each.users)


def interval(users: int, among: int) -> tuple[float, float]:
    """The share's 95 % confidence interval (Wilson's score interval),
    https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval"""
    if not among:
        return 0.0, 1.0
    share, z = users / among, Z_95 * Z_95 / among
    middle = (share + z / 2) / (1 + z)
    distance = Z_95 / (1 + z) * math.sqrt(share * (1 - share) / among + z / among / 4)
    # Exactly 0 and 1 at the ends, where the formula rounds.
    low = 0.0 if users == 0 else middle - distance
    return low, 1.0 if users == among else middle + distance


def added(
    tally: list[Mapping[str, Any]], evaluations: Iterable[Evaluation]
) -> list[dict[str, JSONValue]]:
    """A tally with these evaluations added to it."""
    known = {each.what: each for each in (Outcome(**raw) for raw in tally)}
    users: Counter[Any] = Counter({what: each.users for what, each in known.items()})
    for evaluation in evaluations:
        one = _outcome(evaluation)
        known.setdefault(one.what, one)
        users[one.what] += 1
    return [replace(each, users=users[what]).to_dict() for what, each in known.items()]


def _outcome(evaluation: Evaluation) -> Outcome:
    reason = evaluation.reason
    kind = str(reason.get("kind"))
    index = reason.get("ruleIndex")
    return Outcome(
        variation=evaluation.variation,
        value=evaluation.value,
        reason=f"{kind}:{reason.get('errorKind')}" if kind == "ERROR" else kind,
        rule=index + 1 if kind == "RULE_MATCH" and isinstance(index, int) else None,
        users=1,
    )
