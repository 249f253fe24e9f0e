"""Rules that change while they are read, for the tests of compiled rules."""

from __future__ import annotations

from typing import Any

from featureflags.cache.compiled_rules import current_ruleset
from tests.factories import clause, rule

ROLE_USER = [rule(clause("role", "in", "user"))]

ATTRIBUTES: dict[str, Any] = {"key": "k", "role": "user"}


def matches(key: str) -> bool:
    return key in current_ruleset().ruleset.match(ATTRIBUTES, now=0)
