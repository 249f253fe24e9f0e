"""How the tests call make."""

from __future__ import annotations

import shutil

MAKE = shutil.which("make")
