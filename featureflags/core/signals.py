"""Signals within this app, sent in the transaction of a write, before it commits."""

from __future__ import annotations

from django.dispatch import Signal

ruleset_raised = Signal()
"""The ruleset version was raised. A cache acts at once and again after the commit."""

segments_changed = Signal()
"""`change`: OpenChange. A change of segments or members has ended; see `featureflags.models.changesets`."""
