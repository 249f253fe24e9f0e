"""Snapshots and ruleset versions in Django's cache framework: never stale, never poisoned."""
