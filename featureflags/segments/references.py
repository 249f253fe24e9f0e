"""Names inside a definition: paths to attributes, and segments that use other segments.

Imports only the definitions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from featureflags.core.i18n import gettext
from featureflags.segments.definitions import SEGMENT_MATCH, Rule

_BAD_ESCAPE = re.compile(r"~(?![01])")


def attribute_path(attribute: str, context_kind: str | None) -> tuple[str, ...]:
    """The names to follow from the context to the value.

    Raises ValueError, in LaunchDarkly's sense of an invalid attribute reference: empty, an empty
    component, or a ``~`` that is followed by neither 0 (for ``~``) nor 1 (for ``/``).
    """
    if attribute == "" or (context_kind is not None and attribute == "/"):
        raise ValueError(gettext("choose an attribute"))
    if context_kind is None or not attribute.startswith("/"):
        return (attribute,)
    components = attribute[1:].split("/")
    if "" in components:
        raise ValueError(
            gettext("the path %(attribute)r has an empty part") % {"attribute": attribute}
        )
    if _BAD_ESCAPE.search(attribute):
        raise ValueError(
            gettext("in the path %(attribute)r, ~ must be followed by 0 or 1")
            % {"attribute": attribute}
        )
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in components)


def attribute_reference(path: Sequence[str]) -> str:
    """The inverse, for a clause that names its kind."""
    if len(path) == 1 and not path[0].startswith("/"):
        return path[0]
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in path)


def references(rules: Iterable[Rule]) -> frozenset[str]:
    """The keys of the segments that these rules name."""
    return frozenset(
        value
        for rule in rules
        for clause in rule.clauses
        if clause.op == SEGMENT_MATCH
        for value in clause.values
        if isinstance(value, str)
    )


def find_cycle(graph: Mapping[str, Collection[str]]) -> list[str] | None:
    """A cycle in ``segment key → keys it names``, as a path that ends where it began, or None.

    Which cycle is found depends only on the graph, since keys are visited in sorted order. Keys
    that the graph does not hold are ignored. Depth is bounded by memory, not by recursion.
    """
    finished: set[str] = set()
    for start in sorted(graph):
        if start in finished:
            continue
        path, on_path = [start], {start}
        pending: list[Iterator[str]] = [iter(sorted(graph[start]))]
        while path:
            for key in pending[-1]:
                if key in on_path:
                    return [*path[path.index(key) :], key]
                if key in graph and key not in finished:
                    path.append(key)
                    on_path.add(key)
                    pending.append(iter(sorted(graph[key])))
                    break
            else:
                on_path.discard(path[-1])
                finished.add(path.pop())
                pending.pop()
    return None


def levels(graph: Mapping[str, Collection[str]]) -> tuple[list[list[str]], frozenset[str]]:
    """The keys in layers, each using only the layers before it, and the keys left over.

    Left over are the keys of a cycle and all that use one. Unknown keys are ignored.
    """
    waiting = {key: {name for name in names if name in graph} for key, names in graph.items()}
    dependants: dict[str, list[str]] = {}
    for key, names in waiting.items():
        for name in names:
            dependants.setdefault(name, []).append(key)
    layers: list[list[str]] = []
    layer = [key for key, names in waiting.items() if not names]
    while layer:
        layers.append(layer)
        following: list[str] = []
        for settled in layer:
            del waiting[settled]
            for key in dependants.get(settled, ()):
                waiting[key].discard(settled)
                if not waiting[key]:
                    following.append(key)
        layer = following
    return layers, frozenset(waiting)


def reachable(names: Callable[[str], Iterable[str]], starts: Iterable[str]) -> frozenset[str]:
    """The starts and every key that they lead to; ``names`` gives the keys that a key names."""
    pending = list(starts)
    found = set(pending)
    while pending:
        for key in names(pending.pop()):
            if key not in found:
                found.add(key)
                pending.append(key)
    return frozenset(found)
