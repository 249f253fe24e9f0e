"""What `pictures` runs before its server: the demo, a crowd of users, and the sizes of past days."""

from __future__ import annotations

import datetime
import sys

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.core.management import call_command
from django.utils import timezone

from featureflags.audience.stored_sizes import count_everything
from featureflags.core.times import to_microseconds
from featureflags.models import Segment, SegmentCount, UserCount
from users.models import User

SEEN = {"seen_today": 1, "seen_within_7_days": 7, "seen_within_30_days": 30}


def count_day(moment: datetime.datetime, keys: list[str]) -> None:
    """Who was there then, by the rules of today."""
    there = User.objects.filter(created_at__lte=moment)
    day, now = timezone.localdate(moment), to_microseconds(moment)
    seen = {
        name: there.filter(last_seen_at__gte=moment - datetime.timedelta(days=days)).count()
        for name, days in SEEN.items()
    }
    UserCount.objects.create(day=day, users=there.count(), counted_at=moment, **seen)
    counts = {key: there.in_segment(key, now=now).count() for key in keys}
    SegmentCount.objects.bulk_create(
        SegmentCount(segment_key=key, day=day, at_least=found, at_most=found)
        for key, found in counts.items()
    )


def main(users: int, days: int) -> None:
    call_command("migrate", verbosity=0)
    call_command("seed_demo", users=users)
    keys = list(Segment.objects.values_list("key", flat=True))
    for ago in range(1, days):
        count_day(timezone.now() - datetime.timedelta(days=ago), keys)
    count_everything()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
