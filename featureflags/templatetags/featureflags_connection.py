"""The panel on the admin's first page about LaunchDarkly: how flags arrive, and the page of testers."""

from __future__ import annotations

import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from featureflags.core.conf import app_settings
from featureflags.core.times import to_datetime
from featureflags.launchdarkly.evaluator import connect
from featureflags.launchdarkly.status import State, connection_status

register = template.Library()

STATES: dict[State, Promise] = {
    State.NOT_STARTED: _("The client could not be made."),
    State.INITIALIZING: _("No answer yet."),
    State.VALID: _("Flags arrive."),
    State.INTERRUPTED: _("Interrupted: the last values are served."),
    State.OFF: _("Off."),
}


@register.inclusion_tag("admin/featureflags/connection.html")
def launchdarkly_connection() -> dict[str, Any]:
    """The status of the client of this process; it makes the client if there is none. Never raises.

    The first page of a process waits for the client, as every check of a flag does.
    """
    connect()
    status = connection_status()
    return {
        "status": status,
        "state": STATES[status.state],
        "testers": app_settings().testers,
        "zone": timezone.get_current_timezone_name(),
    }


@register.filter
def as_instant(microseconds: int) -> datetime.datetime:
    """A moment (µs) for Django's filter `date`."""
    return to_datetime(microseconds)
