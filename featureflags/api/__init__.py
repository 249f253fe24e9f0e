"""Flags, contexts and segments over REST."""
