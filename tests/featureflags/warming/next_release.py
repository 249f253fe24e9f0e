"""Settings of the release after this one, whose kind `user` is declared in another way."""

from __future__ import annotations

from featureflags.kinds import snapshot

# Before anything reads it: this module knows no Django, so that it can be imported here.
snapshot.fingerprint_of = lambda fields: "NEXT_"

from config.settings.testing import *  # noqa: E402, F403 - as settings do
