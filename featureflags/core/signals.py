"""Signals of this app."""

from __future__ import annotations

from django.dispatch import Signal

ruleset_raised = Signal()
"""The ruleset version was raised; sent in the transaction of the write, before it commits."""

changeset_closing = Signal()
"""`changeset`: a `Changeset`, of which all rows are written; see `featureflags.models.changesets`. Sent
before the commit."""

epoch_begun = Signal()
"""Every entry of the cache is old. Sent once for each epoch, by the process that has begun it."""

user_seen = Signal()
"""For the project to send after it has written when the request's user was last seen. `key`: text."""

deliveries_written = Signal()
"""Deliveries of webhooks are due; sent in the transaction that wrote them, before it commits."""
