"""Segments as a JSON document: what `export_segments` writes and `import_segments` reads.

A document is `{"segments": {key: {…}}}`, as LaunchDarkly's file data source reads it. A native
one also holds what LaunchDarkly lacks: `exists`, members with an expiry, and `isActive`.
Hidden SQL: all segments and members are read, and the users whom a document names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from featureflags.audience.sql.expressions import as_keys
from featureflags.core.types import JSONValue
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import MemberState, SegmentState
from featureflags.segments.definitions import InvalidDefinition, Problem, SegmentDefinition
from featureflags.segments.export import NotExportable, dump_rules, to_launchdarkly
from featureflags.segments.parsing import load_rules, parse_definition
from users.models import User
from users.times import to_microseconds

ACTIVE: Final = "isActive"


class NotImportable(ValueError):  # noqa: N818 - the name says what cannot be done
    """A document was refused as a whole. `problems` names each segment at fault."""

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
    problems: tuple[Problem, ...] = ()
    """Of a stored row that slipped past validation."""

    @property
    def in_force(self) -> SegmentDefinition:
        """What the engine sees of it: an inactive segment has no members."""
        return self.definition if self.is_active else SegmentDefinition(key=self.definition.key)


def export_segments(keys: Collection[str] = (), *, native: bool = False) -> dict[str, JSONValue]:
    """The document of these segments, or of all.

    Raises NotExportable for what LaunchDarkly cannot say, unless it is native, and KeyError for
    a key that no segment has.
    """
    stored = read_segments()
    missing = sorted(set(keys) - stored.keys())
    if missing:
        raise KeyError(missing[0])
    segments: dict[str, JSONValue] = {}
    for key in sorted(keys or stored):
        segments[key] = _dump(stored[key], native=native)
    return {"segments": segments}


def _dump(document: SegmentDocument, *, native: bool) -> dict[str, JSONValue]:
    if document.problems:
        raise NotExportable(document.definition.key, document.problems)
    definition = document.definition if native else document.in_force
    dumped = to_launchdarkly(definition, native=native)
    dumped |= {"name": document.name, "description": document.description}
    return {**dumped, ACTIVE: document.is_active} if native else dumped


def read_segments(keys: Collection[str] | None = None) -> dict[str, SegmentDocument]:
    """Every stored segment by its key, or those of them that are asked for: two queries, never
    from a cache."""
    segments = Segment.objects.all() if keys is None else Segment.objects.filter(key__in=keys)
    members = SegmentMember.objects.all()
    if keys is not None:
        members = members.filter(segment__key__in=keys)
    listed: dict[int, dict[str, MemberState]] = {}
    for (segment, user), state in members.states().items():
        listed.setdefault(segment, {})[str(user)] = state
    documents = {
        pk: document_of(state, listed.get(pk, {})) for pk, state in segments.states().items()
    }
    by_key = {document.definition.key: document for document in documents.values()}
    return dict(sorted(by_key.items()))


def document_of(
    state: SegmentState, members: Mapping[str, MemberState] | None = None
) -> SegmentDocument:
    """The document of a row with its members by user key. Rules that are broken match nobody."""
    rules, problems = load_rules(state.rules)
    ends: dict[str, dict[str, int | None]] = {SegmentMember.Kind.INCLUDE: {}}
    for user, member in (members or {}).items():
        until = None if member.expires_at is None else to_microseconds(member.expires_at)
        ends.setdefault(member.kind, {})[user] = until
    definition = SegmentDefinition(
        key=state.key,
        version=state.version,
        rules=rules,
        included=ends[SegmentMember.Kind.INCLUDE],
        excluded=ends.get(SegmentMember.Kind.EXCLUDE, {}),
    )
    return SegmentDocument(
        definition=definition,
        name=state.name,
        description=state.description,
        is_active=state.is_active,
        problems=problems,
    )


def state_of(document: SegmentDocument) -> SegmentState:
    """The row that a document stands for, without its members."""
    return SegmentState(
        key=document.definition.key,
        name=document.name,
        description=document.description,
        is_active=document.is_active,
        rules=dump_rules(document.definition.rules),
        version=document.definition.version,
    )


def dump_state(state: SegmentState) -> dict[str, JSONValue]:
    """A row as the native document has it, with its rules as they are stored, without members."""
    return {
        "key": state.key,
        "version": state.version,
        "name": state.name,
        "description": state.description,
        ACTIVE: state.is_active,
        "rules": state.rules,
    }


def load_state(dumped: Mapping[str, Any]) -> SegmentState:
    """What `dump_state` has written."""
    return SegmentState(
        key=dumped["key"],
        version=dumped["version"],
        name=dumped["name"],
        description=dumped["description"],
        is_active=dumped[ACTIVE],
        rules=dumped["rules"],
    )


def read_document(raw: object) -> dict[str, SegmentDocument]:
    """The segments of a document. Raises NotImportable with everything that is wrong."""
    listed = raw.get("segments") if isinstance(raw, dict) else None
    if not isinstance(listed, dict):
        raise NotImportable(['a document must be an object with an object "segments"'])
    documents: dict[str, SegmentDocument] = {}
    problems: list[str] = []
    for key, segment in listed.items():
        try:
            documents[key] = _read(key, segment)
        except InvalidDefinition as error:
            problems += [f"{key}: {problem}" for problem in error.problems]
        except ValueError as error:
            problems.append(f"{key}: {error}")
    problems += _unknown_users(documents.values())
    if problems:
        raise NotImportable(problems)
    return documents


def _read(key: str, raw: object) -> SegmentDocument:
    if not isinstance(raw, dict):
        raise ValueError("a segment must be an object")  # noqa: TRY004 - of the document
    fields: dict[str, Any] = {"key": key, **raw}
    is_active = fields.pop(ACTIVE, True)
    definition = parse_definition(fields)
    name = fields.get("name") or key
    description = fields.get("description") or ""
    if not isinstance(is_active, bool):
        raise ValueError(f"{ACTIVE} must be true or false")  # noqa: TRY004 - of the document
    if not isinstance(name, str) or not isinstance(description, str):
        raise ValueError("name and description must be text")  # noqa: TRY004 - of the document
    if definition.key != key:
        raise ValueError(f"it calls itself {definition.key!r}")
    return SegmentDocument(
        definition=definition, name=name, description=description, is_active=is_active
    )


def _unknown_users(documents: Iterable[SegmentDocument]) -> list[str]:
    definitions = [document.definition for document in documents]
    named = {
        key: definition.key
        for definition in definitions
        for key in (*definition.included, *definition.excluded)
    }
    keys = as_keys(named)
    known = {str(pk) for pk in User.objects.filter(pk__in=keys).values_list("pk", flat=True)}
    return [
        f"{segment}: there is no user {key!r}"
        for key, segment in sorted(named.items())
        if key not in known
    ]
