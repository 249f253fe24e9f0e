"""Flags and segments as the SDK's store gives them."""

from __future__ import annotations

from typing import Any

from tests.services.flag_json import boolean_flag, rule

Data = dict[str, dict[str, Any]]


def data(*flags_: dict[str, Any], segments_: tuple[dict[str, Any], ...] = ()) -> Data:
    return {
        "flags": {each["key"]: each for each in flags_},
        "segments": {each["key"]: each for each in segments_},
    }


def on(*clauses: dict[str, Any], key: str = "beta") -> dict[str, Any]:
    return boolean_flag(key, rules=[rule(*clauses, rule_id="r1")])
