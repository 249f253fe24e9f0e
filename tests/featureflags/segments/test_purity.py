"""The engine runs without Django, DRF, Celery or LaunchDarkly's SDK."""

from __future__ import annotations

from pathlib import Path

import featureflags.segments
from tests.services.processes import run_python

HERE = Path(featureflags.segments.__file__).parent
PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"featureflags.segments.{name}")
print(sorted({"django", "rest_framework", "celery", "ldclient"} & set(sys.modules)))
"""


def test_no_module_imports_a_framework() -> None:
    names = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "__init__")
    assert "ruleset" in names
    done = run_python({}, "-c", PROGRAM, *names)
    assert done.stdout == "[]\n", done.stderr
