"""Signals inside this app, sent in the transaction of a write, before it commits."""

from __future__ import annotations

from django.dispatch import Signal

ruleset_raised = Signal()
"""The ruleset version was raised. A cache acts at once and again after the commit."""

changeset_closing = Signal()
"""`changeset`: a `Changeset`, of which all rows are written; see `featureflags.models.changesets`."""
