"""Flags declared in the code, values that override LaunchDarkly's, and where the code asks for them.

In: the project's declarations (`FEATUREFLAGS["FLAGS"]`), `FORCE_FLAG_…` variables, the project's
source. Out: `declared_flags()`, `override_flag(…)`, and each use of a flag with its file and line.

>>> from featureflags.flags import Flag, FlagType
>>> accent = Flag(
...     key="accent",
...     type=FlagType.STRING,
...     default="blue",
...     description="The colour of buttons.",
...     owner="web team",
... )
>>> accent.type.holds("red"), accent.type.holds(1)
(True, False)
>>> from featureflags.flags.overrides import override_flag, overridden_flags
>>> with override_flag("accent", "green"):
...     overridden_flags()["accent"]
'green'
"""

from __future__ import annotations

from featureflags.flags.declared import Flag, FlagType

__all__ = ["Flag", "FlagType", "code_search", "declared", "overrides"]
