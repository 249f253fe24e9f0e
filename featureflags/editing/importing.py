"""Import of segments: what a document changes, in words and users, and the write of all of it.

All of a document is written, or nothing. Segments that it does not name stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from featureflags.audience.impact import Impact, Part
from featureflags.audience.sizes import Movement, movements
from featureflags.editing.changes import SegmentDelta
from featureflags.editing.confirmation import Examination, fingerprint, judge
from featureflags.editing.differences import (
    differences,
    member_groups,
    members_between,
    members_in_words,
    members_of,
)
from featureflags.editing.documents import (
    NotImportable,
    SegmentDocument,
    read_document,
    read_segments,
    state_of,
)
from featureflags.editing.member_lists import member_deltas, replace_members, stored_members
from featureflags.models import Segment, segment_graph
from featureflags.models.changesets import MemberState, Moved, segment_change
from featureflags.models.versions import RulesetVersion
from featureflags.segments.export import dump_rules
from featureflags.segments.references import find_cycle, levels, references
from featureflags.segments.ruleset import Ruleset
from users.models import User
from users.times import now_in_microseconds

SOURCE = "import_segments"
"""What the history says about the way on which an import came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an import does to one segment, in words, and to how many users."""

    key: str
    lines: tuple[str, ...]
    examination: Examination

    @property
    def moved(self) -> Moved:
        return self.examination.moved


def import_segments(
    raw: object,
    *,
    dry_run: bool = False,
    note: str = "",
    expected: Collection[Change] | None = None,
) -> list[Change]:
    """Write a document and say what changed; with `dry_run`, only say what would. Whether that has
    to be confirmed stands in each change, and is for the caller to heed.

    Raises NotImportable where the document is not in order, or where it would not do just what is
    `expected`; nothing is written then.
    """
    documents = read_document(raw)
    with transaction.atomic():
        with segment_change(source=SOURCE, note=note) as written:
            # Nobody else may change the rules between the difference and the write.
            RulesetVersion.raise_version()
            before = read_segments()
            changes = _changes(before, documents)
            if expected is not None and _shown(changes) != _shown(expected):
                raise NotImportable([_("Something has changed since you were asked. Look again.")])
            written.moved |= {change.key: change.moved for change in changes}
            _write(documents, {change.key for change in changes})
        if dry_run:
            transaction.set_rollback(True)
    return changes


def _shown(changes: Collection[Change]) -> list[tuple[str, Moved]]:
    return [(fingerprint(change.examination), change.moved) for change in changes]


def _changes(
    before: Mapping[str, SegmentDocument], documents: Mapping[str, SegmentDocument]
) -> list[Change]:
    lines = {
        key: found
        for key, document in documents.items()
        if (found := _difference(before.get(key), document))
    }
    after = {**before, **documents}
    old = Ruleset(document.in_force for document in before.values())
    new = Ruleset(document.in_force for document in after.values())
    moved = movements(old, new, list(lines), now=now_in_microseconds()) if lines else []
    users = User.objects.count() if lines else 0
    return [
        Change(
            key=one.key,
            lines=tuple(lines[one.key]),
            examination=judge(_delta(before.get(one.key), after[one.key]), _impact(one, users)),
        )
        for one in moved
    ]


def _delta(old: SegmentDocument | None, new: SegmentDocument) -> SegmentDelta:
    return SegmentDelta(
        before=None if old is None else state_of(old),
        after=state_of(new),
        members=member_deltas(members_of(old), members_of(new)),
    )


def _impact(moved: Movement, users: int) -> Impact:
    """What is known of an import: the numbers, and nobody as an example."""

    def part(number: int) -> Part:
        return Part(at_least=number, is_exact=True)

    return Impact(
        key=moved.key,
        users=part(users),
        matching=Part(at_least=0, is_exact=False),
        entering=part(moved.entering),
        leaving=part(moved.leaving),
    )


def _difference(old: SegmentDocument | None, new: SegmentDocument) -> list[str]:
    members = member_groups(members_between(members_of(old), members_of(new)))
    return [*differences(old, new), *members_in_words(members)]


def _write(documents: Mapping[str, SegmentDocument], changed: Collection[str]) -> None:
    problems: list[str] = []
    for key in _in_order(documents):
        if key not in changed:
            continue
        try:
            with transaction.atomic():
                _save(documents[key])
        except ValidationError as error:
            problems += [f"{key}: {message}" for message in error.messages]
    if problems:
        raise NotImportable(problems)


def _in_order(documents: Mapping[str, SegmentDocument]) -> list[str]:
    """The keys so that each segment comes after those it names. Raises NotImportable on a cycle."""
    named = {key: references(found.definition.rules) for key, found in documents.items()}
    graph = {**segment_graph(), **named}
    layers, left_over = levels(graph)
    if left_over:
        path = " → ".join(find_cycle(graph) or sorted(left_over))
        raise NotImportable([f"these segments rest on each other: {path}"])
    return [key for layer in layers for key in sorted(layer) if key in documents]


def _save(document: SegmentDocument) -> None:
    definition = document.definition
    segment = Segment.objects.filter(key=definition.key).first() or Segment(key=definition.key)
    segment.name, segment.description = document.name, document.description
    segment.is_active = document.is_active
    segment.rules = dump_rules(definition.rules)
    segment.save()
    replace_members(segment, _with_reasons(segment, members_of(document)))


def _with_reasons(segment: Segment, wanted: Mapping[str, MemberState]) -> dict[str, MemberState]:
    """Members that stay keep the reason that somebody gave: a document knows none."""
    stored = stored_members(segment.pk)
    return {
        user: replace(state, reason=stored[user].reason)
        if user in stored and _same_but_reason(stored[user], state)
        else state
        for user, state in wanted.items()
    }


def _same_but_reason(stored: MemberState, wanted: MemberState) -> bool:
    return (stored.kind, stored.expires_at) == (wanted.kind, wanted.expires_at)
