"""What the commands about segments share."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

from django.core.management.base import CommandError

from featureflags.cache.compiled_rules import current_ruleset
from featureflags.segments.ruleset import Ruleset

KEY_HELP = "the segment's key"


def ruleset_with_segment(key: str) -> Ruleset:
    """The rules in force. Raises CommandError if they hold no such segment."""
    ruleset = current_ruleset().ruleset
    if key not in ruleset.definitions:
        near = difflib.get_close_matches(key, ruleset.definitions, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise CommandError(f"There is no segment {key!r}.{hint}")
    return ruleset


def read_json(path: str) -> object:
    """A JSON file, also one with a byte order mark. Raises CommandError, naming the file."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}.") from error
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}.") from error
