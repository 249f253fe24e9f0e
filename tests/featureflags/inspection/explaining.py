"""A user and the reasons that the SDK gives."""

from __future__ import annotations

from typing import Any

ADA: dict[str, Any] = {
    "kind": "user",
    "key": "ada",
    "role": "user",
    "segments": ["employee", "user"],
    "age": 7,
}

RULE_MATCH = {"kind": "RULE_MATCH", "ruleIndex": 0}


def data(*flags: dict[str, Any], segments: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {
        "flags": {each["key"]: each for each in flags},
        "segments": {each["key"]: each for each in segments},
    }
