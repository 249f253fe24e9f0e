"""The banner of a tester: the flags that they see with other values, and until when."""

from __future__ import annotations

import datetime
import json

from django import template

from featureflags.core.times import to_datetime
from featureflags.evaluation.previews import Look

register = template.Library()


@register.filter
def looked_at(look: Look) -> str:
    """The flags and their values, as `new-checkout = true`."""
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in sorted(look.flags.items()))


@register.filter
def look_ends(look: Look) -> datetime.datetime:
    """The moment at which the tester sees the usual values again, for Django's filter `date`."""
    return to_datetime(look.until)
