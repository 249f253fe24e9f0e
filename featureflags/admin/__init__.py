"""Segments, their members, and the context of a user, in Django's admin.

Django imports this package to register them.
"""

from __future__ import annotations

from featureflags.admin.members import SegmentMemberAdmin
from featureflags.admin.segments import SegmentAdmin

__all__ = ["SegmentAdmin", "SegmentMemberAdmin"]
