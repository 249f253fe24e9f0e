"""Flags declared in code, and values that override LaunchDarkly's."""

from __future__ import annotations

from featureflags.flags.declared import Flag, FlagType

__all__ = ["Flag", "FlagType"]
