"""A snapshot, some segments, and the context of both."""

from __future__ import annotations

import datetime
from typing import Any

from featureflags.core.times import to_microseconds
from featureflags.core.types import MICROSECONDS_PER_DAY
from featureflags.kinds.registry import user_kind
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.ruleset import Ruleset

NOW = to_microseconds(datetime.datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.UTC))

DAY = MICROSECONDS_PER_DAY


def snapshot(**fields: Any) -> Any:
    values: dict[str, Any] = {
        "key": "5f0c954e-9a57-4f1e-8f8e-0a4a3c1c3b52",
        "email": "ada@agpt.co",
        "email_verified": True,
        "name": "Ada",
        "role": "user",
        "is_staff": False,
        "created_at": NOW - 365 * DAY,
        "last_seen_at": None,
        "groups": ("editors",),
        "metadata": {"role": "admin"},
    }
    return user_kind().snapshot_type(**{**values, **fields})


def segment(key: str, attribute: str, op: str, *values: Any) -> SegmentDefinition:
    clause = Clause(attribute=attribute, op=op, values=values)
    return SegmentDefinition(key=key, rules=(Rule(clauses=(clause,)),))


RULES = Ruleset(
    [
        segment("user", "role", "in", "user"),
        segment("established_user", "account_age_days", "greaterThan", 30),
        segment("employee", "email_domain", "in", "agpt.co"),
        segment("admin", "role", "in", "admin"),
    ]
)
