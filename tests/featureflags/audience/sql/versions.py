"""Two versions of one segment that have no member in common, over four users.

A test has them written by another process, which says when it begins.
"""

from __future__ import annotations

from django.db import transaction

from featureflags.models import Segment, SegmentMember
from tests.factories import clause, rule
from users.models import User

ANSWERS = (frozenset({"by-rule-0", "by-name-0"}), frozenset({"by-rule-1", "by-name-1"}))
"""The names of the members in each version: one by a rule, one included by name."""


def create_users() -> None:
    for version, names in enumerate(ANSWERS):
        for name in sorted(names):
            plan = f"plan-{version}" if name.startswith("by-rule") else "none"
            User.objects.create_user(f"{name}@example.com", name=name, metadata={"plan": plan})


def write_version(key: str, version: int) -> None:
    """Save the segment and its member in one transaction."""
    with transaction.atomic():
        segment = Segment.objects.filter(key=key).first() or Segment(key=key, name=key)
        # Two rules, so that a torn read of one alone would show as well.
        segment.rules = [
            rule(clause("custom_plan", "in", f"plan-{version}"), clause("role", "in", "user")),
            rule(clause("name", "in", f"by-rule-{version}")),
        ]
        segment.save()
        SegmentMember.objects.filter(segment=segment).delete()
        member = User.objects.get(name=f"by-name-{version}")
        SegmentMember(segment=segment, user=member).save()


def write_versions(key: str, saves: int) -> None:
    """Turn the segment over and over."""
    print("writing", flush=True)
    for number in range(saves):
        write_version(key, number % 2)
