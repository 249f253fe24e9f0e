"""Keeps one LaunchDarkly segment for each active segment, so that people can pick it by name there.

In: the active segments, LaunchDarkly's segments. Out: steps (`plan`, pure), which `apply` carries
out. A synced segment has the same key and one rule: the attribute `segments` is one of [KEY]. Only
segments with our tag are ever changed.

>>> from featureflags.launchdarkly.segment_sync.plan import WantedSegment, plan
>>> [step] = plan([WantedSegment(key="staff", name="Staff")], [], tag="guidon")
>>> step.kind, step.sentence
(<Kind.CREATE: 'create'>, 'create “Staff”, whose rule is: segments in staff')
"""

from __future__ import annotations

__all__ = ["apply", "plan"]
