"""LaunchDarkly's flags and segments, read: what they serve, which users they target, what decided.

In: LaunchDarkly's own JSON, as `feature_store().raw()` gives it or a flag file holds it. Out: frozen
values that give words and JSON. No event is sent. Unexpected JSON raises nothing: what cannot
be read is skipped. `checks`, `dates` and `variation_counts` use other rooms; the other modules
are pure.

>>> from featureflags.inspection.flag_parsing import flags
>>> from featureflags.inspection.flags_using_segment import uses_of
>>> checkout = {
...     "key": "new-checkout",
...     "version": 3,
...     "on": True,
...     "variations": [True, False],
...     "rules": [{
...         "id": "r1",
...         "description": "Staff first",
...         "variation": 0,
...         "clauses": [{
...             "contextKind": "user", "attribute": "segments", "op": "in", "values": ["staff"],
...         }],
...     }],
...     "fallthrough": {"rollout": {"variations": [
...         {"variation": 0, "weight": 25_000}, {"variation": 1, "weight": 75_000},
...     ]}},
...     "offVariation": 1,
... }
>>> data = {"flags": {"new-checkout": checkout}, "segments": {}}
>>> for line in flags(data)[0].targeting:
...     print(line)
rule 1 (Staff first): segments is any of "staff" → true
everybody else → 25 % true, 75 % false, by key
>>> [(use.flag, use.live) for use in uses_of("staff", data)]
[('new-checkout', True)]
"""

from __future__ import annotations

__all__ = [
    "checks",
    "dates",
    "deciding_rule",
    "flag_explanation",
    "flag_parsing",
    "flag_traces",
    "flags_using_attribute",
    "flags_using_segment",
    "outcomes",
    "rollouts",
    "variation_counts",
]
