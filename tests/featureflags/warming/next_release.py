"""Settings of the release after this one, whose snapshots have another version."""

from __future__ import annotations

from users import snapshots

# Before anything reads it: users.snapshots knows no Django, so that it can be imported here.
snapshots.SNAPSHOT_VERSION += 1

from config.settings.testing import *  # noqa: E402, F403 - as settings do
