"""Imports segments: what a document changes, and the write of all of it or nothing.

Segments that the document does not name stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from featureflags.audience.parts import Impact, Part
from featureflags.audience.sizes import moved_between
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.core.conf import app_settings
from featureflags.core.times import now_in_microseconds
from featureflags.editing.applying import Approval, apply
from featureflags.editing.changes import Change, member_changes
from featureflags.editing.confirmation import fingerprint
from featureflags.editing.documents import (
    NotImportable,
    SegmentDocument,
    read_document,
    read_segments,
)
from featureflags.editing.examining import Examination, examine
from featureflags.editing.plans import make_plan
from featureflags.kinds.registry import kind_named, user_kind
from featureflags.models import segment_graph
from featureflags.models.changesets import MemberState, Moved, open_changeset
from featureflags.models.versions import RulesetVersion
from featureflags.segments.references import find_cycle, levels, references
from featureflags.segments.ruleset import Ruleset

SOURCE = "import_segments"
"""What the history stores as the source of an import."""


def import_segments(
    raw: object,
    *,
    dry_run: bool = False,
    note: str = "",
    expected: Collection[Examination] | None = None,
    approval: Approval | None = None,
    source: str = SOURCE,
) -> list[Examination]:
    """Write a document and return what it changed; with `dry_run`, only what it would change.

    The caller must heed `needs_confirmation` of each: this function does not. `expected`: the
    result of the dry run that somebody confirmed. `approval`: changes that need an approval are proposed
    by its author, unless it is an emergency; the others are written. `source`: for the history. What is
    returned is in the order in which it can be made: a segment comes after those that its rules name.
    Raises NotImportable if the document is invalid, would do anything else than `expected`, or needs an
    approval; then nothing is written.
    """
    documents = read_document(raw)
    with transaction.atomic():
        with open_changeset(source=source, note=note):
            # Nobody else may change the rules between the comparison and the write.
            RulesetVersion.lock()
            found = {each.key: each for each in _examine(read_segments(), documents)}
            examined = [found[key] for key in _in_order(documents) if key in found]
            if expected is not None and not _is_as_expected(examined, expected):
                raise NotImportable([_("Something has changed since you were asked. Look again.")])
            # A dry run is rolled back: nobody need approve it.
            how = Approval(is_emergency=True) if dry_run else approval
            _write(examined, how, source, note)
        if dry_run:
            transaction.set_rollback(True)
    return examined


def _is_as_expected(found: Collection[Examination], expected: Collection[Examination]) -> bool:
    """True if these are the same changes, and move the same users as far as both were counted."""
    if [fingerprint(each) for each in found] != [fingerprint(each) for each in expected]:
        return False
    return all(
        new.moved == old.moved or new.moved.at_least or old.moved.at_least
        for new, old in zip(found, expected, strict=True)
    )


def _examine(
    before: Mapping[str, SegmentDocument], documents: Mapping[str, SegmentDocument]
) -> list[Examination]:
    documents = {
        key: _with_stored_salt(document, before.get(key)) for key, document in documents.items()
    }
    changes = {
        key: change
        for key, document in documents.items()
        if not (change := _change(before.get(key), document)).is_nothing
    }
    if not changes:
        return []
    old = Ruleset(document.in_force for document in before.values())
    new = Ruleset(document.in_force for document in {**before, **documents}.values())
    rows = {
        name: (kind_named(name) or user_kind()).rows().count()
        for name in {change.state.kind for change in changes.values()}
    }
    graph = segment_graph()
    # Others wait for the lock of the rules while this counts.
    limit = TimeLimit(user_kind().rows().db, app_settings().impact_seconds * len(changes))
    try:
        with limit.statements():
            found = moved_between(old, new, list(changes), now=now_in_microseconds(), limit=limit)
    except TimeIsUp:
        found = dict.fromkeys(changes, Moved(entering=0, leaving=0, at_least=True))
    archived = {key for key, change in changes.items() if change.archives}
    try:
        return [
            examine(
                change,
                impact=_impact(key, found[key], rows[change.state.kind]),
                together=archived,
                graph=graph,
            )
            for key, change in changes.items()
        ]
    except ValidationError as error:
        raise NotImportable(error.messages) from error


def _with_stored_salt(new: SegmentDocument, old: SegmentDocument | None) -> SegmentDocument:
    """A document that names no salt takes the same users as before."""
    if new.names_salt or old is None:
        return new
    return replace(new, definition=replace(new.definition, salt=old.definition.salt))


def _change(old: SegmentDocument | None, new: SegmentDocument) -> Change:
    if old is None:
        members = member_changes({}, new.members, new.definition.kind)
        return Change(before=None, after=new.state, members=members)
    new = replace(
        new,
        tags=old.tags if new.tags is None else new.tags,
        owner=old.owner if new.owner is None else new.owner,
        is_archived=old.is_archived if new.is_archived is None else new.is_archived,
    )
    wanted = _with_reasons(new.members, old.members) if new.reasons is None else new.members
    members = member_changes(old.members, wanted, old.definition.kind)
    return Change(before=old.state, after=new.state, members=members)


def _with_reasons(
    wanted: Mapping[str, MemberState], stored: Mapping[str, MemberState]
) -> dict[str, MemberState]:
    """Members who stay as they are keep their reason, where a document holds none."""
    return {
        user: stored[user]
        if user in stored and replace(stored[user], reason="") == state
        else state
        for user, state in wanted.items()
    }


def _impact(key: str, moved: Moved, users: int) -> Impact:
    """The numbers of one segment, without examples."""

    def part(number: int) -> Part:
        return Part(at_least=number, is_exact=not moved.at_least)

    return Impact(
        key=key,
        users=part(users),
        matching=Part(at_least=0, is_exact=False),
        entering=part(moved.entering),
        leaving=part(moved.leaving),
    )


def _in_order(documents: Mapping[str, SegmentDocument]) -> list[str]:
    """The keys so that each segment comes after those it names. Raises NotImportable on a cycle."""
    named = {key: references(found.definition.rules) for key, found in documents.items()}
    graph = {**segment_graph(), **named}
    layers, left_over = levels(graph)
    if left_over:
        path = " → ".join(find_cycle(graph) or sorted(left_over))
        raise NotImportable([f"these segments name each other in a circle: {path}"])
    return [key for layer in layers for key in sorted(layer) if key in documents]


def _write(
    examined: Collection[Examination], approval: Approval | None, source: str, note: str
) -> None:
    proposes = approval is not None and not approval.is_emergency
    written = [one for one in examined if not (proposes and one.needs_approval)]
    try:
        apply(*written, source=source, approval=approval)
    except ValidationError as error:
        # One alone is saved as by itself, without its key before each message.
        key = f"{written[0].key}: " if len(written) == 1 else ""
        raise NotImportable([key + message for message in error.messages]) from error
    for one in examined:
        if approval is not None and proposes and one.needs_approval:
            make_plan(one, author=approval.author, source=source, note=note)
