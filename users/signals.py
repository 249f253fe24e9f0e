"""What `users` makes known, without knowing who listens."""

from __future__ import annotations

from django.dispatch import Signal

user_seen = Signal()
"""Sent after `last_seen_at` of the request's user was written. Arguments: `key`, the user's key as text."""
