"""Short ways to write rules as JSON."""

from __future__ import annotations

import pytest

from featureflags.segments.definitions import InvalidDefinition
from featureflags.segments.parsing import parse_rules


def rule(**changes: object) -> dict[str, object]:
    return {"clauses": [clause()], **changes}


def clause(**changes: object) -> dict[str, object]:
    return {"attribute": "plan", "op": "in", "values": ["pro"], **changes}


def refusal(raw: object) -> list[str]:
    with pytest.raises(InvalidDefinition) as refused:
        parse_rules(raw)
    return [str(problem) for problem in refused.value.problems]
