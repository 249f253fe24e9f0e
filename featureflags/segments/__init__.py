"""The segment engine: definitions in LaunchDarkly's JSON, compiled once, matched in memory.

Pure Python beside google-re2: nothing in this package may import Django, DRF, Celery or ldclient.
"""

from __future__ import annotations
