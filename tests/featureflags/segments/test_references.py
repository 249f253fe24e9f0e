"""Names between segments: references, cycles and layers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from featureflags.segments.definitions import Clause, Rule
from featureflags.segments.references import find_cycle, levels, reachable, references
from tests.featureflags.segments.proof import SAMPLE


def test_references_are_what_segment_match_names() -> None:
    rules = [
        Rule(clauses=(Clause(attribute="", op="segmentMatch", values=("a", "b")),)),
        Rule(
            clauses=(
                Clause(attribute="segments", op="in", values=("c",)),
                Clause(attribute="", op="segmentMatch", values=("b", "d", 5), negate=True),
            )
        ),
    ]
    assert references(rules) == {"a", "b", "d"}


def test_a_cycle_is_reported_as_a_path() -> None:
    assert find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]
    assert find_cycle({"a": ["a"]}) == ["a", "a"]
    assert find_cycle({"a": ["b", "unknown"], "b": [], "c": ["a", "b"]}) is None
    assert find_cycle({}) is None


def test_a_long_chain_does_not_exhaust_the_stack() -> None:
    chain = {f"{number:06}": [f"{number + 1:06}"] for number in range(50_000)}
    assert find_cycle(chain) is None
    assert find_cycle({**chain, "050000": ["000000"]}) is not None
    layers, left_over = levels(chain)
    assert (len(layers), left_over) == (50_000, frozenset())


@SAMPLE
@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdefx"), max_size=3), max_size=6
    )
)
def test_cycles_and_layers_agree(graph: dict[str, set[str]]) -> None:
    layers, left_over = levels(graph)
    cycle = find_cycle(graph)
    assert (cycle is None) == (not left_over)
    if cycle is not None:
        assert cycle[0] == cycle[-1]
        assert all(after in graph[before] for before, after in pairwise(cycle))
        assert left_over >= set(cycle)
    settled: set[str] = set()
    for layer in layers:
        assert all((graph[key] & graph.keys()) <= settled for key in layer)
        settled.update(layer)
    assert settled | left_over == graph.keys()
    on_cycle = {key for key in graph if key in reachable(lambda at: graph.get(at, ()), graph[key])}
    assert bool(on_cycle) == bool(left_over)
