"""The people and segments of the demo, as data. `seed_demo` writes them, the home page reads them.

Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEMO_PASSWORD = "demo"  # noqa: S105 - printed by `make run`; production seeds no demo
"""The password of every demo login."""

DEMO_FLAG_FILE = "config/demo_flags.json"
"""LaunchDarkly's JSON, relative to the folder of `manage.py`; copied to where the SDK reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPerson:
    """One user of the demo. The home page shows `title` and `description`."""

    email: str
    name: str
    title: str
    description: str
    role: str = "user"
    days_old: int
    """Age of the account, in days of 24 hours, at the moment when the demo is loaded."""
    email_verified: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)
    is_superuser: bool = False
    """May do everything in the admin; implies `is_staff`."""
    is_shown: bool = True
    """Whether the home page has a card for this account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSegment:
    """A segment of the demo, in addition to those that every project starts with."""

    key: str
    name: str
    description: str
    rules: tuple[Mapping[str, Any], ...]
    """LaunchDarkly's JSON."""


DEMO_PEOPLE = (
    DemoPerson(
        email="nina@example.com",
        name="Nina Novak",
        title="New user",
        description="Signed up two days before the demo was loaded.",
        days_old=2,
        email_verified=False,
    ),
    DemoPerson(
        email="ada@agpt.co",
        name="Ada Adler",
        title="Employee",
        description="Works for the company: its domain, and the address is verified.",
        days_old=365,
        metadata={"role": "admin"},
    ),
    DemoPerson(
        email="paula@example.org",
        name="Paula Park",
        title="Paying customer",
        description="Has been on the “pro” plan since last year.",
        days_old=365,
        metadata={"plan": "pro", "country": "DE"},
    ),
    DemoPerson(
        email="admin@example.com",
        name="Alex Admin",
        title="Administrator",
        description="May change everything in the admin.",
        role="admin",
        days_old=365,
        is_superuser=True,
        is_shown=False,
    ),
)

DEMO_SEGMENTS = (
    DemoSegment(
        key="paying_customer",
        name="Paying customers",
        description="The plan is pro or team.",
        rules=(
            {
                "id": "plan",
                "description": "On a plan that costs money",
                "clauses": [
                    {
                        "attribute": "custom_plan",
                        "op": "in",
                        "values": ["pro", "team"],
                        "negate": False,
                    }
                ],
            },
        ),
    ),
)
