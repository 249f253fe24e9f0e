"""Segments, their members, the pages about a user, and warmings, in Django's admin.

Django imports this package to register them.
"""

from __future__ import annotations

from featureflags.admin.members.model_admin import SegmentMemberAdmin
from featureflags.admin.segments.model_admin import SegmentAdmin
from featureflags.admin.warming import WarmRunAdmin

__all__ = ["SegmentAdmin", "SegmentMemberAdmin", "WarmRunAdmin"]
