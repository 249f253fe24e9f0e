"""The segment engine in SQL: a definition compiled to conditions on users.

`compiler.compile_segment` is the way in. It knows the catalogue of attributes and Django's
expressions, but no model, no cache and no ruleset in force: those are `featureflags.audience.querysets`'s.
"""

from __future__ import annotations
