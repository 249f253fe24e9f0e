"""One flag for each type of value and each status that OFREP has, and who asks."""

from __future__ import annotations

from typing import Any, Final

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from tests.services.flag_json import (
    boolean_flag,
    clause,
    flag,
    prerequisite,
    rule,
    segment_rule,
    string_flag,
)

OBJECT: Final = {"a": [1, 2.5, None], "b": {"c": "d"}}
ERRORS: Final = [
    ("no-such-flag", EvaluationContext("x"), ErrorCode.FLAG_NOT_FOUND),
    ("malformed", EvaluationContext("x"), ErrorCode.PARSE_ERROR),
    ("new-checkout", EvaluationContext(), ErrorCode.TARGETING_KEY_MISSING),
    ("new-checkout", EvaluationContext("ada@agpt.co"), ErrorCode.INVALID_CONTEXT),
    ("new-checkout", EvaluationContext("x", {"kind": "?"}), ErrorCode.INVALID_CONTEXT),
    ("colour", EvaluationContext("x"), ErrorCode.TYPE_MISMATCH),
]
"""What is asked for as a boolean, by whom, and OpenFeature's code of the error."""


def flags() -> list[dict[str, Any]]:
    """For an employee: a rule matches in `new-checkout`."""
    return [
        boolean_flag("new-checkout", rules=[segment_rule("employee")]),
        string_flag("colour", ["red", "blue"]),
        *(
            flag(key, values, on=True, fallthrough=0, off_variation=1)
            for key, values in (
                ("count", [3, 4]),
                ("ratio", [0.5, 1.5]),
                ("settings", [OBJECT, {}]),
            )
        ),
        flag("off", [True, False], on=False, fallthrough=0, off_variation=1),
        flag("off-without-value", [True, False], on=False, fallthrough=0, off_variation=None),
        boolean_flag("dependent", prerequisites=[prerequisite("off", 0)]),
        boolean_flag("large-basket", rules=[rule(clause("basket", "greaterThan", 2))]),
        boolean_flag("for-pro", rules=[rule(clause("custom_plan", "in", "pro"))]),
        # No variation has this number: the SDK can parse the flag and not evaluate it.
        boolean_flag("malformed") | {"fallthrough": {"variation": 7}},
    ]
