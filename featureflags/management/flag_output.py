"""What the commands about flags share: LaunchDarkly's data, read without sending events."""

from __future__ import annotations

from django.core.management.base import CommandError

from featureflags.evaluation import looking
from featureflags.inspection.flag_parsing import RawData
from featureflags.launchdarkly.client import feature_store, has_flags

CANNOT_TELL = 2
"""The exit code where LaunchDarkly's flags, or what they are compared with, are not known."""


def launchdarkly_data() -> RawData:
    """Flags and segments as the SDK was given them. Raises CommandError if it has none yet."""
    with looking():
        if not has_flags():
            raise CommandError("LaunchDarkly has not sent any flags.", returncode=CANNOT_TELL)
        return feature_store().raw()
