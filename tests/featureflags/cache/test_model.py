"""The protocol holds in every order of the small cases; without any one of its rules it does not."""

from __future__ import annotations

import pytest

from tests.featureflags.cache.model.scenarios import RULES, SCENARIOS
from tests.featureflags.cache.model.search import search


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_holds(name: str) -> None:
    found = search(SCENARIOS[name])
    assert not found.broken, f"{name}: {found}"
    assert found.states > 50, "hardly anything was tried"


@pytest.mark.parametrize("rule", RULES)
def test_without_a_rule_it_does_not(rule: str) -> None:
    scenario, says = RULES[rule]
    found = search(SCENARIOS[scenario], frozenset({rule}))
    assert found.broken, f"nothing shows that {says}"
    assert found.trace
