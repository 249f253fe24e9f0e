"""What differs between the segments here and those of another installation. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from featureflags.editing.change_sentences import segment_in_words
from featureflags.kinds.registry import USER
from featureflags.models import Segment
from featureflags.models.changesets import SegmentState
from featureflags.segments.export import dump_rules
from featureflags.segments.parsing import load_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One segment that is not the same on both sides; None: there is none on that side."""

    key: str
    here: SegmentState | None
    there: SegmentState | None

    def lines(self, *, to_there: bool) -> list[str]:
        """In words, what would change on the side that is written to."""
        old, new = (self.there, self.here) if to_there else (self.here, self.there)
        return segment_in_words(old, new)


def differences(there: Iterable[Mapping[str, Any]]) -> list[Difference]:
    """Segments that differ in what is carried over, by key. `there`: as its API lists them."""
    ours = {state.key: carried(state) for state in Segment.objects.all().states().values()}
    theirs = {state.key: state for state in map(state_of, there)}
    return [
        Difference(key=key, here=ours.get(key), there=theirs.get(key))
        for key in sorted(ours.keys() | theirs.keys())
        if not _same(ours.get(key), theirs.get(key))
    ]


def carried(state: SegmentState) -> SegmentState:
    """A segment without its owner, who is a user of their own installation, its rules in one form."""
    rules, problems = load_rules(state.rules, state.kind)
    return replace(state, owner="", rules=state.rules if problems else dump_rules(rules))


def state_of(sent: Mapping[str, Any]) -> SegmentState:
    """A segment as the API of another installation sends it. What is missing is as of a new one."""
    state = SegmentState(
        key=str(sent.get("key", "")),
        kind=str(sent.get("kind", USER)),
        name=str(sent.get("name", "")),
        description=str(sent.get("description", "")),
        is_active=sent.get("is_active") is True,
        is_archived=sent.get("is_archived") is True,
        tags=tuple(str(tag) for tag in sent.get("tags") or ()),
        rules=sent.get("rules", []),
        salt=str(sent.get("salt", "")),
        version=sent["version"] if isinstance(sent.get("version"), int) else 0,
    )
    return carried(state)


def _same(here: SegmentState | None, there: SegmentState | None) -> bool:
    return here is not None and there is not None and here.says_the_same(there)
