"""A stored segment and a file to import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write(path: Path, segments: object, **others: Any) -> str:
    path.write_text(json.dumps({"segments": segments, **others}))
    return str(path)
