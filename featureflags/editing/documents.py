"""Segments as a JSON document, as `export_segments` writes and `import_segments` reads it.

    {"segments": {"beta": {
        "key": "beta", "version": 3, "name": "Beta", "description": "", "isActive": true,
        "included": ["9d1c5c9e-…"], "excluded": [],
        "rules": [{"clauses": [{"attribute": "custom_plan", "op": "in", "values": ["pro"]}]}]}}}

LaunchDarkly's file data source reads the same form. A native document also holds what LaunchDarkly
lacks: `exists`, members with a beginning, an expiry or a reason, `isActive`, and the `kind` of a segment that is
not on users.

Hidden SQL: all segments and members, and the users that a document names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from featureflags.core.times import to_datetime, to_microseconds
from featureflags.core.types import JSONValue
from featureflags.core.uncached import fresh_rows
from featureflags.editing.about import (
    ACTIVE,
    REASONS,
    check_reasons,
    dump_about,
    known_owners,
    read_about,
)
from featureflags.editing.foreign_documents import rules_of_document, with_kinds
from featureflags.editing.several_kinds import in_one_kind
from featureflags.kinds.registry import kind_named, kinds
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import MemberState, SegmentState
from featureflags.models.limits import limit_problem
from featureflags.segments.definitions import InvalidDefinition, Problem, SegmentDefinition
from featureflags.segments.export import NotExportable, dump_rules, to_launchdarkly
from featureflags.segments.parsing import load_rules, parse_definition


class NotImportable(ValueError):
    """Nothing of a document can be imported. `problems` names each segment and its fault."""

    def __init__(self, problems: Collection[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentDocument:
    """One segment, between the database and JSON."""

    definition: SegmentDefinition
    name: str
    description: str = ""
    is_active: bool = True
    tags: tuple[str, ...] | None = None
    owner: str | None = None
    """The key of a user; empty: nobody."""
    is_archived: bool | None = None
    """None, as for tags and owner: the document does not have it, and what is stored stays."""
    problems: tuple[Problem, ...] = ()
    """Of stored rules that are invalid."""
    reasons: Mapping[str, str] | None = None
    """Of members, by key; None: the document has none, and those who stay a member keep theirs."""
    names_salt: bool = True
    """False: an import keeps the salt that is stored."""

    @property
    def in_force(self) -> SegmentDefinition:
        """What the engine gets: an inactive segment has no members."""
        found = self.definition
        return found if self.is_active else SegmentDefinition(key=found.key, kind=found.kind)

    @property
    def state(self) -> SegmentState:
        """The row of the segment, without its members."""
        return SegmentState(
            key=self.definition.key,
            kind=self.definition.kind,
            name=self.name,
            description=self.description,
            is_active=self.is_active,
            rules=dump_rules(self.definition.rules),
            version=self.definition.version,
            tags=self.tags or (),
            owner=self.owner or "",
            is_archived=bool(self.is_archived),
            salt=self.definition.salt,
        )

    @property
    def members(self) -> dict[str, MemberState]:
        """The members by key; a reason that the document does not have is empty."""
        kinds, found = SegmentMember.Kind, self.definition
        members = {
            user: self._member(user, kinds.EXCLUDE, at) for user, at in found.excluded.items()
        }
        return members | {
            user: self._member(user, kinds.INCLUDE, at) for user, at in found.included.items()
        }

    def _member(self, user: str, kind: SegmentMember.Kind, until: int | None) -> MemberState:
        since = self.definition.begins.get(user)
        return MemberState(
            kind=kind.value,
            reason=(self.reasons or {}).get(user, ""),
            starts_at=None if since is None else to_datetime(since),
            expires_at=None if until is None else to_datetime(until),
        )


def export_segments(keys: Collection[str] = (), *, native: bool = False) -> dict[str, JSONValue]:
    """The document of these segments, or of all.

    Raises NotExportable for what LaunchDarkly cannot express, unless it is native, and KeyError for
    an unknown key.
    """
    stored = read_segments()
    missing = sorted(set(keys) - stored.keys())
    if missing:
        raise KeyError(missing[0])
    segments: dict[str, JSONValue] = {}
    for key in sorted(keys or stored):
        segments[key] = dump_document(stored[key], native=native)
    return {"segments": segments}


def dump_document(document: SegmentDocument, *, native: bool) -> dict[str, JSONValue]:
    """One segment. Raises NotExportable."""
    if document.problems:
        raise NotExportable(document.definition.key, document.problems)
    definition = document.definition if native else document.in_force
    dumped = to_launchdarkly(definition, native=native)
    dumped |= {"name": document.name, "description": document.description}
    about = dump_about(document.state)
    if not native:
        return {**dumped, "tags": about["tags"]} if "tags" in about else dumped
    reasons: dict[str, JSONValue] = {
        key: text for key, text in sorted((document.reasons or {}).items()) if text
    }
    if reasons:
        dumped[REASONS] = reasons
    return {**dumped, ACTIVE: document.is_active, **about}


def read_segments(keys: Collection[str] | None = None) -> dict[str, SegmentDocument]:
    """The stored segments by key, all or these: two queries, never from a cache."""
    segments, members = Segment.objects.all(), SegmentMember.objects.all()
    if keys is not None:
        segments, members = segments.filter(key__in=keys), members.filter(segment__key__in=keys)
    listed: dict[int, dict[str, MemberState]] = {}
    for (segment, row), state in members.states().items():
        listed.setdefault(segment, {})[str(row)] = state
    documents = {
        state.key: document_of(state, listed.get(pk, {})) for pk, state in segments.states().items()
    }
    return dict(sorted(documents.items()))


def document_of(
    state: SegmentState, members: Mapping[str, MemberState] | None = None
) -> SegmentDocument:
    """The document of a row with its members by key. Broken rules match nobody."""
    rules, problems = load_rules(state.rules, state.kind)
    ends: dict[str, dict[str, int | None]] = {kind: {} for kind in SegmentMember.Kind.values}
    begins: dict[str, int] = {}
    for user, member in (members or {}).items():
        until = None if member.expires_at is None else to_microseconds(member.expires_at)
        ends[member.kind][user] = until
        if member.starts_at is not None:
            begins[user] = to_microseconds(member.starts_at)
    definition = SegmentDefinition(
        key=state.key,
        kind=state.kind,
        version=state.version,
        rules=rules,
        included=ends[SegmentMember.Kind.INCLUDE],
        excluded=ends[SegmentMember.Kind.EXCLUDE],
        salt=state.salt,
        begins=begins,
    )
    return SegmentDocument(
        definition=definition,
        name=state.name,
        description=state.description,
        is_active=state.is_active,
        tags=state.tags,
        owner=state.owner,
        is_archived=state.is_archived,
        problems=problems,
        reasons={user: one.reason for user, one in (members or {}).items()},
    )


def read_document(raw: object) -> dict[str, SegmentDocument]:
    """The segments of a document. Raises NotImportable with everything that is wrong."""
    listed = raw.get("segments") if isinstance(raw, dict) else None
    if not isinstance(listed, dict):
        raise NotImportable(['a document must be an object with an object "segments"'])
    documents: dict[str, SegmentDocument] = {}
    problems: list[str] = []
    for key, segment in with_kinds(listed).items():
        try:
            documents[key] = read_segment(key, segment)
        except InvalidDefinition as error:
            problems += [f"{key}: {problem}" for problem in error.problems]
        except ValueError as error:
            problems.append(f"{key}: {error}")
    problems += _other_kinds(documents)
    problems += _unknown_members(documents.values())
    if problems:
        raise NotImportable(problems)
    known = known_owners(one.owner for one in documents.values())
    return {
        key: one if one.owner in known else replace(one, owner=None)
        for key, one in documents.items()
    }


def read_segment(key: str, raw: object) -> SegmentDocument:
    """One segment of a document. Raises InvalidDefinition and ValueError."""
    if not isinstance(raw, dict):
        raise ValueError("a segment must be an object")  # noqa: TRY004 - of the document
    fields: dict[str, Any] = {"key": key, **raw}
    if "rules" in fields:
        problem = limit_problem(fields["rules"])
        if problem is not None:
            raise InvalidDefinition([problem])
    fields = {**in_one_kind(fields)[0]}
    if "rules" in fields:
        fields["rules"], _remarks = rules_of_document(fields)
    is_active = fields.pop(ACTIVE, True)
    about, reasons = read_about(fields), fields.pop(REASONS, None)
    definition = parse_definition(fields)
    if reasons is not None:
        check_reasons(reasons, {*definition.included, *definition.excluded})
    name = fields.get("name") or key
    description = fields.get("description") or ""
    if not isinstance(is_active, bool):
        raise ValueError(f"{ACTIVE} must be true or false")  # noqa: TRY004 - of the document
    if not isinstance(name, str) or not isinstance(description, str):
        raise ValueError("name and description must be text")  # noqa: TRY004 - of the document
    if definition.key != key:
        raise ValueError(f"its own key is {definition.key!r}")
    return SegmentDocument(
        definition=definition,
        name=name,
        description=description,
        is_active=is_active and not about.is_archived,
        tags=about.tags,
        owner=about.owner,
        is_archived=about.is_archived,
        reasons=reasons,
        names_salt="salt" in fields,
    )


def _other_kinds(documents: Mapping[str, SegmentDocument]) -> list[str]:
    """Segments of a kind that no app declares, and of another kind than the stored segment."""
    with fresh_rows():
        stored = dict(Segment.objects.filter(key__in=documents).values_list("key", "kind"))
    problems: list[str] = []
    for key, document in documents.items():
        kind, before = document.definition.kind, stored.get(key)
        if kind_named(kind) is None:
            known = ", ".join(each.name for each in kinds())
            problems.append(f"{key}: there is no kind {kind!r}. The kinds are: {known}")
        elif before is not None and before != kind:
            problems.append(f"{key}: its kind is {kind!r}, and the stored segment is on {before!r}")
    return problems


def _unknown_members(documents: Iterable[SegmentDocument]) -> list[str]:
    named: dict[str, dict[str, str]] = {}
    for document in documents:
        definition = document.definition
        members = named.setdefault(definition.kind, {})
        members |= dict.fromkeys((*definition.included, *definition.excluded), definition.key)
    problems: list[str] = []
    for name, members in named.items():
        kind = kind_named(name)
        known = set() if kind is None else kind.existing(members)
        problems += [
            f"{segment}: there is no {name} {key!r}"
            for key, segment in sorted(members.items())
            if kind is not None and key not in known
        ]
    return problems
