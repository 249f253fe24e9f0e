"""LaunchDarkly's JSON in shapes that it never has."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

NAMES: Final = (
    *("rules", "clauses", "values", "prerequisites", "op", "key", "included", "targets"),
    *("rollout", "variations", "variation", "weight", "bucketBy", "fallthrough", "attribute"),
)
JSON: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
ODD_ITEMS: Final = st.dictionaries(
    st.text(max_size=2), JSON.filter(lambda raw: isinstance(raw, dict))
)
"""Flags or segments by key: each an object with the names of real ones, and anything as their values."""
