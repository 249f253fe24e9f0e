"""Reads lists of members as people paste or upload them: e-mails or keys, as CSV or in a row.

    email,kind,reason,starts_at,expires_at
    ada@example.com,include,Beta tester,,2027-01-31T12:00:00Z

A first row that names its columns (`email` or `key`, and `kind`, `reason`, `starts_at`, `expires_at` as
an export has them) is a header. Without one, every cell that is an address or a key counts, and other
cells are ignored. Each problem names its line. Pure: `member_lookup` finds the users.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.core.conf import app_settings
from featureflags.core.input_gate import LATEST
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.nouns import noun
from featureflags.kinds.registry import USER, user_kind
from featureflags.models import SegmentMember

LARGEST_FILE: Final = 2 * 1024 * 1024
"""Bytes of a file, and characters of a pasted text: ten thousand rows with names and reasons."""
LONGEST_CELL: Final = 500
DELIMITERS: Final = ",;\t"

TITLE, KEY = "title", "key"
HEADERS: Final[Mapping[str, str]] = {
    "email": TITLE,
    "e-mail": TITLE,
    "email address": TITLE,
    "username": TITLE,
    "title": TITLE,
    "e-mail address": TITLE,
    "mail": TITLE,
    "key": KEY,
    "id": KEY,
    "user": KEY,
    "user id": KEY,
    "uuid": KEY,
    "kind": "kind",
    "reason": "reason",
    "starts_at": "starts_at",
    "expires_at": "expires_at",
}
"""What a column may be called, in any case."""

_FORMULA: Final = re.compile(r"^'(?='*[=+\-@\t\r\n])")
"""The apostrophe by which an export keeps a spreadsheet from computing a cell."""

_SEPARATOR: Final = re.compile(r"\s*sep=(.)\r?\n", re.IGNORECASE)
"""A first line by which a spreadsheet knows the delimiter."""

_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Characters without a width, which mail programs and web pages leave in what is copied."""


class UnreadableFile(ValueError):
    """The list cannot be read. The message gives the reason and what to do."""


class TooManyLines(UnreadableFile):
    """The list names more users than a segment holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLine:
    """One user in the list, with the membership as far as the list gives it; empty: it does not."""

    line: int
    text: str
    """The address in lower case, or the key as Python writes it."""
    kind: str = ""
    reason: str | None = None
    expires_at: datetime.datetime | None = None
    has_expiry: bool = False
    """True if the list has a column for the expiry, in which an empty cell means never."""
    starts_at: datetime.datetime | None = None
    has_start: bool = False
    """True if the list has a column for the beginning, in which an empty cell means at once."""


@dataclass(frozen=True, slots=True, order=True)
class LineRemark:
    """A problem of a line, or a hint."""

    line: int
    text: str

    def __str__(self) -> str:
        return _("Line %(line)d: %(text)s") % {"line": self.line, "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberList:
    """The users that a list names, and the lines that cannot be read."""

    lines: tuple[MemberLine, ...]
    problems: tuple[LineRemark, ...]


def decode_file(data: bytes) -> str:
    """The text of a file: UTF-8, or UTF-16 with its mark. Raises UnreadableFile."""
    if len(data) > LARGEST_FILE:
        raise UnreadableFile(too_large())
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = _("Line %d is not UTF-8. Save the file as “CSV UTF-8”.") % line
        raise UnreadableFile(message) from error


def too_large() -> str:
    return _("The list is larger than %d MB. Use a rule instead.") % (LARGEST_FILE // 1024 // 1024)


def read_member_list(text: str, kind: CompiledKind | None = None) -> MemberList:
    """The users that a text names, or the rows of another kind. Raises UnreadableFile."""
    kind = kind or user_kind()
    if len(text) > LARGEST_FILE:
        raise UnreadableFile(too_large())
    if "\0" in text:
        raise UnreadableFile(_("This is not text: it contains the character NUL."))
    rows = _rows(text.removeprefix("\ufeff"))
    header = _header(rows[0][1], kind) if rows else {}
    if header and any(cell != _bare(cell) for cell in rows[0][1]):
        # Typed by hand, with blanks after the commas. An export has none that mean nothing.
        rows = [(line, [cell.strip() for cell in cells]) for line, cells in rows]
    lines: list[MemberLine] = []
    problems: list[LineRemark] = []
    for number, (line, cells) in enumerate(rows[1:] if header else rows):
        found = _named(line, cells, header, kind) if header else _unnamed(line, cells, kind)
        for each in found:
            if isinstance(each, MemberLine):
                lines.append(each)
            elif header or number or len(rows) == 1:
                # A first row without a user is a heading.
                problems.append(each)
    limit = app_settings().max_members
    if len(lines) > limit:
        values = {
            "count": f"{len(lines):,}",
            "rows": noun(kind.name, len(lines)),
            "limit": f"{limit:,}",
        }
        message = (
            _("The list names %(count)s %(rows)s; a segment holds at most %(limit)s.") % values
        )
        raise TooManyLines(message)
    return MemberList(lines=tuple(lines), problems=tuple(problems))


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, with the line on which each ends. Raises UnreadableFile."""
    separator = _SEPARATOR.match(text)
    lines = text[separator.end() :] if separator else text
    first = lines.lstrip("\r\n").partition("\n")[0]
    delimiter = separator.group(1) if separator else max(DELIMITERS, key=first.count)
    # Only these end a line; `splitlines` would break a reason at other separators too.
    reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter)
    before = 1 if separator else 0
    try:
        return [
            (reader.line_num + before, [_FORMULA.sub("", cell) for cell in cells])
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        values = {"line": reader.line_num + before, "problem": error}
        raise UnreadableFile(_("Line %(line)d cannot be read: %(problem)s.") % values) from error


def _bare(cell: str) -> str:
    """What people mean by a cell, without blanks around it and invisible characters."""
    return _INVISIBLE.sub("", cell).strip()


def _header(cells: Sequence[str], kind: CompiledKind) -> dict[str, int]:
    """The place of each column, if this row names a column with users; else empty."""
    found: dict[str, int] = {}
    names = {**dict.fromkeys(kind.addresses, TITLE), **HEADERS, kind.title: TITLE, kind.name: KEY}
    for number, cell in enumerate(cells):
        name = names.get(_bare(cell).lower())
        if name is not None:
            found.setdefault(name, number)
    return found if TITLE in found or KEY in found else {}


def _named(
    line: int, cells: Sequence[str], header: Mapping[str, int], kind: CompiledKind
) -> Iterator[MemberLine | LineRemark]:
    """The entry of a row below a header, or what is wrong with it."""

    def exact(name: str) -> str:
        place = header.get(name)
        return cells[place] if place is not None and place < len(cells) else ""

    def cell(name: str) -> str:
        return _bare(exact(name))

    # The key stays when an address changes.
    text = _as_key(cell(KEY), kind) or _as_title(cell(TITLE), kind) or _as_title(cell(KEY), kind)
    side = cell("kind").lower()
    moments = {name: _as_moment(cell(name)) for name in ("starts_at", "expires_at")}
    unread = [cell(name) for name, moment in moments.items() if cell(name) and moment is None]
    if text is None:
        yield LineRemark(line, _nobody_in(cells, kind))
    elif side and side not in SegmentMember.Kind.values:
        yield LineRemark(line, _("the kind is include or exclude, not “%s”.") % shortened(side))
    elif unread:
        words = _("“%s” is not a date and time. Write 2027-01-31T12:00:00Z.")
        yield LineRemark(line, words % shortened(unread[0]))
    else:
        yield MemberLine(
            line=line,
            text=text,
            kind=side,
            reason=exact("reason")[:200] if "reason" in header else None,
            **moments,
            has_expiry="expires_at" in header,
            has_start="starts_at" in header,
        )


def _unnamed(
    line: int, cells: Sequence[str], kind: CompiledKind
) -> Iterator[MemberLine | LineRemark]:
    """Every address and key of a row without a header, or what is wrong with it."""
    found = [
        text
        for cell in cells
        # Names of other kinds than people's addresses hold spaces.
        for word in re.split(r"[\s,;]+" if kind.name == USER else r"[,;\t]+", _bare(cell))
        if (text := _as_key(word, kind) or _as_title(word, kind)) is not None
    ]
    if not found:
        yield LineRemark(line, _nobody_in(cells, kind))
    for text in found:
        yield MemberLine(line=line, text=text)


def _nobody_in(cells: Sequence[str], kind: CompiledKind) -> str:
    words = _("“%s” contains no e-mail and no key.")
    words = words if kind.name == USER else _("“%s” contains no name and no key.")
    return words % shortened(" ".join(filter(None, map(_bare, cells))))


def _as_key(cell: str, kind: CompiledKind) -> str | None:
    key = kind.canonical(cell.strip())
    return None if not key or kind.has_text_keys or kind.parse_key(key) is None else key


def _as_title(cell: str, kind: CompiledKind) -> str | None:
    """An address, also as mail programs and links write it: `Ada Adler <ada@agpt.co>`,
    `mailto:ada@agpt.co`; or another title."""
    if not kind.has_addresses and ("@" not in cell or kind.name != USER):
        return cell.strip()[:LONGEST_CELL] or None
    inside = re.search(r"<([^<>\s]+@[^<>\s]+)>", cell)
    address = (inside.group(1) if inside else cell).strip("<>\"'").lower()
    if address.startswith("mailto:"):
        address = unquote(address.removeprefix("mailto:").partition("?")[0])
    is_one = re.fullmatch(r"[^@\s]+@[^@\s]+", address) is not None
    return address if is_one and len(address) <= LONGEST_CELL else None


def _as_moment(cell: str) -> datetime.datetime | None:
    """An instant; without an offset, in the site's time zone."""
    try:
        moment = datetime.datetime.fromisoformat(cell)
    except ValueError:
        return None
    moment = timezone.make_aware(moment) if timezone.is_naive(moment) else moment
    return moment if moment <= LATEST else None


def shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
