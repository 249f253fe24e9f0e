"""Which rule of a segment became which, between two versions. Pure.

Rules are paired by their id, else by equal conditions, else by the most conditions in common. So a
condition that was added shows as one, and not as a rule that went and another that came.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from featureflags.segments.definitions import Clause, Rule
from featureflags.segments.export import dump_rules


def rule_pairs(old: Sequence[Rule], new: Sequence[Rule]) -> dict[int, int]:
    """Places in `old`, in their order, with the place in `new` that each became."""
    pairs: dict[int, int] = {}
    _pair_equal(pairs, [rule.id for rule in old], [rule.id for rule in new])
    before, after = [_texts(rule.clauses) for rule in old], [_texts(rule.clauses) for rule in new]
    _pair_equal(pairs, [_whole(texts) for texts in before], [_whole(texts) for texts in after])
    taken = set(pairs.values())
    alike = sorted(
        (-likeness, abs(i - j), i, j)
        for i in range(len(old))
        for j in range(len(new))
        if i not in pairs
        and j not in taken
        and (likeness := 2 * (before[i] & after[j]).total() + _shared(old[i], new[j]))
    )
    for _likeness, _distance, i, j in alike:
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return dict(sorted(pairs.items()))


def clauses_left_over(clauses: Sequence[Clause], others: Sequence[Clause]) -> list[Clause]:
    """The clauses that have no equal among the others."""
    pending = _texts(others)
    left = []
    for clause in clauses:
        (text,) = _texts([clause])
        if pending[text]:
            pending[text] -= 1
        else:
            left.append(clause)
    return left


def _pair_equal(pairs: dict[int, int], old: Sequence[str], new: Sequence[str]) -> None:
    """Pair the places of what is equal and not empty, each once."""
    taken = set(pairs.values())
    places: dict[str, list[int]] = {}
    for j, text in enumerate(new):
        if text and j not in taken:
            places.setdefault(text, []).append(j)
    for i, text in enumerate(old):
        if i not in pairs and places.get(text):
            pairs[i] = places[text].pop(0)


def _texts(clauses: Sequence[Clause]) -> Counter[str]:
    """The conditions as JSON, in which True and 1 stay apart."""
    return Counter(json.dumps(dump_rules([Rule(clauses=(each,))])) for each in clauses)


def _whole(texts: Counter[str]) -> str:
    return "".join(sorted(texts.elements()))


def _shared(old: Rule, new: Rule) -> int:
    """How many attributes both rules test."""
    attributes = {clause.attribute for clause in old.clauses}
    return len(attributes & {clause.attribute for clause in new.clauses})
