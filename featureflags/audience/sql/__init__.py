"""The segment engine in SQL: a definition compiled to conditions on the rows of its kind.

In: a ruleset, the key of a segment, an instant in µs. Out: two filters on rows. A row that
fulfils `lower` is in; a row that is in fulfils `upper`. Both are the same where SQL can decide.

>>> from featureflags.audience.sql.compiler import compile_segment
>>> from featureflags.segments.parsing import parse_definition
>>> from featureflags.segments.ruleset import Ruleset
>>> staff = parse_definition({
...     "key": "staff",
...     "rules": [{"clauses": [{"attribute": "is_staff", "op": "in", "values": [True]}]}],
... })
>>> compiled = compile_segment(Ruleset([staff]), "staff", now=0)
>>> compiled.exact, compiled.lower == compiled.upper
(True, True)

It knows the catalogue of attributes and Django's expressions, but no model, no cache and no ruleset in
force: those belong to `featureflags.audience.querysets`.
"""

from __future__ import annotations

__all__ = ["bounds", "compiler", "expressions"]
