"""The flag that the tests of the facade ask for."""

from __future__ import annotations

from tests.services.launchdarkly import boolean_flag, segment_rule

TOOLS = boolean_flag("internal-tools", rules=[segment_rule("employee")])
