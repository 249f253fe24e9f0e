"""Segments as two installations exchange them: a native document, with the titles of the rows that it names.

    {"segments": {"beta": {…, "included": ["6d0c…"], "owner": "77aa…"}},
     "names": {"user": {"6d0c…": "ada@example.com", "77aa…": "ben@example.com"}},
     "problems": {"old": ["rule 1: …"]}}

A key is of one installation alone; an e-mail address, or the title of another kind, both know. What is received
gets the keys of here. A member who is not known here is left out, and named.

Hidden SQL: all segments and members of a document, and one query for each thousand titles.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.core.types import JSONValue
from featureflags.core.uncached import fresh_rows
from featureflags.editing.about import ARCHIVED, REASONS
from featureflags.editing.documents import (
    SegmentDocument,
    dump_document,
    read_segment,
    read_segments,
)
from featureflags.editing.member_lookup import chunks, keys_of_titles
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER, kind_named, kinds
from featureflags.models import Segment
from featureflags.segments.definitions import InvalidDefinition, SegmentDefinition
from featureflags.segments.export import NotExportable
from featureflags.segments.formatting import visible
from featureflags.segments.member_json import MEMBER_FIELDS

MOST_SEGMENTS: Final = 200
MOST_MEMBERS: Final = 20_000
"""Of one answer; one segment is always in it."""
NAMED: Final = 5
"""Members who are named in a sentence; it counts the others."""
OWNER: Final = "owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Segments for another installation. `problems`: why one is not in it, by key."""

    segments: Mapping[str, JSONValue]
    names: Mapping[str, Mapping[str, str]]
    problems: Mapping[str, tuple[str, ...]]

    def to_dict(self) -> dict[str, JSONValue]:
        return {
            "segments": {**self.segments},
            "names": {kind: {**titles} for kind, titles in self.names.items()},
            "problems": {key: [*why] for key, why in self.problems.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Whom a received segment names, and who is nobody here."""

    kind: str = USER
    titles: tuple[str, ...] = ()
    unnamed: int = 0
    """Members whose titles were not sent, or may not be looked up here. Such a list is not promoted."""
    owner: str | None = None
    """The title of the owner; empty: it was not sent. None: the owner is known, or there is none."""

    @property
    def is_nobody(self) -> bool:
        """True if all of them are known here."""
        return not self.titles and not self.unnamed and self.owner is None

    def words(self, *, with_names: bool) -> Iterator[str]:
        """In sentences. Names only for a reader who may see them."""
        if self.titles:
            number = len(self.titles)
            text = ngettext(
                "%(count)s member is not known here and is left out",
                "%(count)s members are not known here and are left out",
                number,
            ) % {"count": f"{number:,}"}
            if with_names:
                more = ", …" if number > NAMED else ""
                text += f": {', '.join(map(visible, self.titles[:NAMED]))}{more}"
            yield text
        if self.unnamed:
            text = ngettext(
                "Members by name stay as they are: the permission to see the name of %s is missing",
                "Members by name stay as they are: the permission to see the names of %s is missing",
                self.unnamed,
            )
            yield text % f"{self.unnamed:,}"
        if self.owner is not None:
            who = visible(self.owner) if with_names and self.owner else _("who is nobody here")
            yield _("The owner is left out: %s") % who


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Segments of another installation, with the keys of here. An owner of None: it is not known here."""

    documents: Mapping[str, SegmentDocument]
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    problems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Why a segment cannot be read here, by its key."""


def send_page(
    after: str, named: Collection[str], rows: QuerySet[Segment] | None = None
) -> tuple[Sent, str]:
    """The next of these segments (of all) by key, and the key to go on after (empty: these are the last).

    `named`: the kinds whose titles may be sent.
    """
    rows = Segment.objects.all() if rows is None else rows
    with fresh_rows():
        found = list(
            rows.filter(key__gt=after)
            .annotate(listed=Count("members"))
            .order_by("key")
            .values_list("key", "listed")[: MOST_SEGMENTS + 1]
        )
    keys: list[str] = []
    members = 0
    for key, number in found[:MOST_SEGMENTS]:
        members += number
        if keys and members > MOST_MEMBERS:
            break
        keys.append(key)
    goes_on = keys[-1] if len(keys) < len(found) else ""
    return send(keys, named, with_members=True), goes_on


def send(keys: Collection[str], named: Collection[str], *, with_members: bool) -> Sent:
    """These segments. Without their members and owners no title is sent."""
    found = read_segments(keys)
    segments: dict[str, JSONValue] = {}
    problems: dict[str, tuple[str, ...]] = {}
    for key, document in found.items():
        try:
            segments[key] = _whole(document, with_members=with_members)
        except NotExportable as error:
            problems[key] = tuple(map(str, error.problems))
    names = _titles(found.values(), named) if with_members else {}
    return Sent(segments=segments, names=names, problems=problems)


def receive(raw: object, *, seen: Collection[str] | None = None) -> Received:
    """What another installation sent. `seen`: the kinds whose rows may be found by title; None: all.

    Raises ValueError where it has another form.
    """
    listed, names, said = (
        raw.get(name, {}) if isinstance(raw, dict) else None
        for name in ("segments", "names", "problems")
    )
    if not (isinstance(listed, dict) and isinstance(names, dict) and isinstance(said, dict)):
        raise ValueError(_("This is not a document of segments."))  # noqa: TRY004 - of the document
    problems = {key: tuple(map(str, _list(why))) for key, why in said.items()}
    documents: dict[str, SegmentDocument] = {}
    for key, segment in listed.items():
        try:
            documents[key] = _read(key, segment)
        except InvalidDefinition as error:
            problems[key] = tuple(map(str, error.problems))
        except ValueError as error:
            problems[key] = (str(error),)
    own = {
        kind.name: _own_keys(kind, names.get(kind.name))
        for kind in kinds()
        if seen is None or kind.name in seen
    }
    left_out: dict[str, LeftOut] = {}
    for key, document in documents.items():
        documents[key], left_out[key] = _with_own_keys(document, own, names)
    return Received(documents=documents, left_out=left_out, problems=problems)


def as_document(
    documents: Mapping[str, SegmentDocument],
    left_out: Mapping[str, LeftOut],
    *,
    with_members: bool,
) -> dict[str, JSONValue]:
    """For `import_segments`. Without members and owners: with those that are stored here."""
    stored = read_segments(documents.keys())
    segments: dict[str, JSONValue] = {}
    for key, one in documents.items():
        keeps = not with_members or bool(left_out[key].unnamed)
        wanted = _with_members_of(stored.get(key), one) if keeps else one
        if not with_members:
            wanted = replace(wanted, owner=None)
        segments[key] = _whole(wanted, with_members=True)
    return {"segments": segments}


def _whole(document: SegmentDocument, *, with_members: bool) -> dict[str, JSONValue]:
    """With each field, so that one that is empty replaces what is stored; a reason stays where it was written.

    Raises NotExportable.
    """
    dumped = dump_document(document, native=True)
    dumped |= {"tags": [*(document.tags or ())], ARCHIVED: bool(document.is_archived)}
    for name in (OWNER, REASONS):
        dumped.pop(name, None)
    if with_members:
        return dumped if document.owner is None else {**dumped, OWNER: document.owner}
    return {name: value for name, value in dumped.items() if name not in MEMBER_FIELDS}


def _with_members_of(stored: SegmentDocument | None, one: SegmentDocument) -> SegmentDocument:
    old = SegmentDefinition(key=one.definition.key) if stored is None else stored.definition
    definition = replace(
        one.definition, included=old.included, excluded=old.excluded, begins=old.begins
    )
    return replace(one, definition=definition)


def _read(key: str, raw: object) -> SegmentDocument:
    """Raises InvalidDefinition and ValueError."""
    document = read_segment(key, raw)
    if kind_named(document.definition.kind) is None:
        raise ValueError(_("There is no kind %s here.") % visible(document.definition.kind))
    return document


def _titles(
    documents: Iterable[SegmentDocument], named: Collection[str]
) -> dict[str, dict[str, str]]:
    wanted: dict[str, set[str]] = {}
    for one in documents:
        definition = one.definition
        wanted.setdefault(definition.kind, set()).update(definition.included, definition.excluded)
        if one.owner:
            wanted.setdefault(USER, set()).add(one.owner)
    found: dict[str, dict[str, str]] = {}
    for name in sorted(wanted.keys() & set(named)):
        if (kind := kind_named(name)) is None:
            continue
        for some in chunks(sorted(wanted[name])):
            found.setdefault(name, {}).update(kind.titles(some))
    return found


def _own_keys(kind: CompiledKind, sent: object) -> dict[str, str]:
    """From a key of there to the key of the one row here with the same title."""
    titles = {
        key: title.strip().lower() if kind.has_addresses else title.strip()
        for key, title in (sent.items() if isinstance(sent, dict) else ())
        if isinstance(title, str)
    }
    found = keys_of_titles(sorted(set(titles.values())), kind)
    return {key: found[title][0] for key, title in titles.items() if len(found.get(title, ())) == 1}


def _with_own_keys(
    document: SegmentDocument, own: Mapping[str, Mapping[str, str]], names: Mapping[str, Any]
) -> tuple[SegmentDocument, LeftOut]:
    definition = document.definition
    known = own.get(definition.kind, {})
    included = {known[key]: at for key, at in definition.included.items() if key in known}
    excluded = {known[key]: at for key, at in definition.excluded.items() if key in known}
    begins = {known[key]: at for key, at in definition.begins.items() if key in known}
    gone = [key for key in (*definition.included, *definition.excluded) if key not in known]
    # Of a kind that the reader may not see nobody is known: an empty list would take everybody out.
    seen = gone if definition.kind in own else ()
    titles = [title for key in seen if (title := _title(names, definition.kind, key))]
    owner, lost = document.owner, None
    if document.owner:
        owner = own.get(USER, {}).get(document.owner)
        lost = None if owner else _title(names, USER, document.owner)
    document = replace(
        document,
        owner=owner,
        definition=replace(definition, included=included, excluded=excluded, begins=begins),
    )
    return document, LeftOut(
        kind=definition.kind,
        titles=tuple(sorted(titles)),
        unnamed=len(gone) - len(titles),
        owner=lost,
    )


def _title(names: Mapping[str, Any], kind: str, key: str) -> str:
    of_kind = names.get(kind)
    title = of_kind.get(key) if isinstance(of_kind, dict) else None
    return title if isinstance(title, str) else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
