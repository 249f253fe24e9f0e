"""The segment engine: definitions in LaunchDarkly's JSON, compiled once, matched in memory.

In: a definition as JSON or from a table, a user's attributes, an instant in µs. Out: the keys of the
segments that the user is in, why, and when that changes by itself. Pure Python and google-re2: no
module here may import Django, DRF, Celery or the SDK, and none reads a clock.

>>> from featureflags.segments.explain import explain
>>> from featureflags.segments.parsing import parse_definition
>>> from featureflags.segments.ruleset import Ruleset
>>> early = parse_definition({
...     "key": "early-adopters",
...     "included": ["6d0c6b9e"],
...     "excluded": [],
...     "rules": [{
...         "id": "paying-testers",
...         "clauses": [
...             {"attribute": "plan", "op": "in", "values": ["pro", "team"], "negate": False},
...             {"attribute": "account_age_days", "op": "lessThan", "values": [30]},
...         ],
...     }],
... })
>>> ruleset = Ruleset([early])
>>> user = {"key": "a1", "plan": "pro", "account_age_days": 3}
>>> sorted(ruleset.match(user, now=0))
['early-adopters']
>>> explain(ruleset, "early-adopters", user, now=0).decided_by
'rule 1'
>>> ruleset.match({"key": "a1", "plan": "free"}, now=0)
frozenset()
"""

from __future__ import annotations

__all__ = [
    "attribute_types",
    "case_files",
    "date_values",
    "definitions",
    "explain",
    "explanation_tree",
    "export",
    "formatting",
    "member_json",
    "next_change",
    "operator_labels",
    "parsing",
    "percentages",
    "regexes",
    "ruleset",
    "time_attributes",
    "value_words",
    "values",
]
