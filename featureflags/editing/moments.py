"""Moments for people: in the site's time zone, which is named."""

from __future__ import annotations

import datetime

from django.utils import formats, timezone

from users.times import to_datetime


def moment_in_words(moment: datetime.datetime | int) -> str:
    """A moment (aware, or µs) in the site's time zone, which is named."""
    if isinstance(moment, int):
        moment = to_datetime(moment)
    local = timezone.localtime(moment)
    text = formats.date_format(local, "DATETIME_FORMAT")
    return f"{text} ({timezone.get_current_timezone_name()})"
