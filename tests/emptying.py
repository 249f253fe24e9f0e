"""Empties caches without touching those of other test processes on the same Redis."""

from __future__ import annotations

from django.core.cache import caches


def empty_caches(*aliases: str) -> None:
    """Empty these caches, or all of them. django-redis' own `clear` empties the whole server."""
    for alias in aliases or tuple(caches):
        cache = caches[alias]
        if hasattr(cache, "delete_pattern"):
            cache.delete_pattern("*")
        else:
            cache.clear()
