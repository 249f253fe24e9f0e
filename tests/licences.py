"""Writes the licences of what a production image installs: `python -m tests.licences > LICENCES.md`."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution

from packaging.markers import Marker

from tests.services.processes import ROOT

FILE = ROOT / "LICENCES.md"
REQUIREMENTS = ROOT / "requirements" / "production.txt"
LINE = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==[^ ]+(?: ; (.*?))? \\$", re.MULTILINE)
CLASSIFIER = "License :: OSI Approved :: "
LONGEST = 60
"""A longer text in the field `License` is the licence itself, not its name."""

HEAD = """# Licences of dependencies

What a production image installs (`requirements/production.txt`), each under its own licence. This file is
written by `python -m tests.licences`; a test fails when it is old.

| package | licence |
|---|---|
"""


def licences() -> dict[str, str]:
    """Licence by package, of those that this platform installs."""
    found: dict[str, str] = {}
    for name, marker in LINE.findall(REQUIREMENTS.read_text()):
        if marker and not Marker(marker).evaluate():
            continue
        try:
            found[name] = licence_of(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def licence_of(name: str) -> str:
    """As the package declares it: an SPDX expression, else its classifiers, else its field."""
    metadata = distribution(name).metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = [
        each.removeprefix(CLASSIFIER)
        for each in metadata.get_all("Classifier") or ()
        if each.startswith(CLASSIFIER)
    ]
    field = metadata["License"].strip() if "License" in metadata else ""
    named = field if field and len(field) <= LONGEST and "\n" not in field else ""
    return " and ".join(classifiers) or named or "unknown"


def table() -> str:
    """The whole file."""
    rows = (f"| {name} | {licence} |\n" for name, licence in sorted(licences().items()))
    return HEAD + "".join(rows)


if __name__ == "__main__":
    print(table(), end="")
