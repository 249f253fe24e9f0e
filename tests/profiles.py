"""How thorough this run of the tests is: the environment's HYPOTHESIS_PROFILE.

`quick` is for `make quick`, `deep` for `make test-deep`; without it the examples are the same each time.
"""

from __future__ import annotations

import os
from typing import Final

PROFILE: Final = os.environ.get("HYPOTHESIS_PROFILE", "same")
DEEP: Final = PROFILE == "deep"
