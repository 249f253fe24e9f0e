"""What the banner of a tester says: which flags, and until when."""

from __future__ import annotations

import datetime
import json

from django import template

from featureflags.evaluation.previews import Look
from users.times import to_datetime

register = template.Library()


@register.filter
def looked_at(look: Look) -> str:
    """The flags and their values, as `new-checkout = true`."""
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in sorted(look.flags.items()))


@register.filter
def look_ends(look: Look) -> datetime.datetime:
    return to_datetime(look.until)
