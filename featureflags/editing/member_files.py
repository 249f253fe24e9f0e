"""Lists of users as people paste or upload them: e-mails or keys, as CSV or one after another.

A first row that names its columns (`email` or `key`, and `kind`, `reason`, `expires_at` as an
export has them) is a header. Without one, every cell that is an address or a key counts, and the
others are ignored. Everything that is wrong is told with its line.

Hidden SQL: `find_users` is one query for each thousand entries.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import re
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.core.conf import app_settings
from featureflags.models import SegmentMember
from featureflags.models.changesets import MemberState
from users.models import User

LARGEST: Final = 2 * 1024 * 1024
"""Bytes of a file, and characters of a pasted text: ten thousand rows with names and reasons."""
LONGEST_CELL: Final = 500
LOOKED_UP_AT_ONCE: Final = 1_000
DELIMITERS: Final = ",;\t"

EMAIL, KEY = "email", "key"
HEADERS: Final[Mapping[str, str]] = {
    "email": EMAIL,
    "e-mail": EMAIL,
    "email address": EMAIL,
    "e-mail address": EMAIL,
    "mail": EMAIL,
    "key": KEY,
    "id": KEY,
    "user": KEY,
    "user id": KEY,
    "uuid": KEY,
    "kind": "kind",
    "reason": "reason",
    "expires_at": "expires_at",
}
"""What a column may be called, in any case."""

_FORMULA: Final = re.compile(r"^'(?=[=+\-@\t\r\n])")
"""An apostrophe that an export put in front, so that a spreadsheet computes nothing."""


class UnreadableFile(ValueError):  # noqa: N818 - the name says what it is
    """The list cannot be read at all. The message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One user in the list, and what the list says of their membership; empty: nothing."""

    line: int
    text: str
    """The address in lower case, or the key as Python writes it."""
    kind: str = ""
    reason: str | None = None
    expires_at: datetime.datetime | None = None
    says_when: bool = False
    """Whether the list has a column for the expiry, so that an empty cell means never."""


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """What is to be said of a line."""

    line: int
    text: str

    def __str__(self) -> str:
        return _("Line %(line)d: %(text)s") % {"line": self.line, "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadList:
    """What a list says, and what of it cannot be read."""

    entries: tuple[Entry, ...]
    problems: tuple[Remark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundList:
    """Whom a list names."""

    members: Mapping[str, MemberState]
    """By user key, as the list has them."""
    problems: tuple[Remark, ...]
    """Nobody has such an address or key, or the membership would have ended."""
    repeated: tuple[Remark, ...]
    """Users who stand there more than once."""


def decode(data: bytes) -> str:
    """The text of a file: UTF-8, or UTF-16 with its mark. Raises UnreadableFile."""
    if len(data) > LARGEST:
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
    return _("The list is larger than %d MB. Use a rule instead.") % (LARGEST // 1024 // 1024)


def read_list(text: str) -> ReadList:
    """The users that a text names. Raises UnreadableFile."""
    if len(text) > LARGEST:
        raise UnreadableFile(too_large())
    if "\0" in text:
        raise UnreadableFile(_("This is no text: it holds the character NUL."))
    rows = _rows(text.removeprefix("\ufeff"))
    header = _header(rows[0][1]) if rows else {}
    entries: list[Entry] = []
    problems: list[Remark] = []
    for number, (line, cells) in enumerate(rows[1:] if header else rows):
        found = _named(line, cells, header) if header else _unnamed(line, cells)
        for each in found:
            if isinstance(each, Entry):
                entries.append(each)
            elif header or number or len(rows) == 1:
                # A first row without a user is a heading of somebody's own.
                problems.append(each)
    limit = app_settings().max_members
    if len(entries) > limit:
        told = {"count": f"{len(entries):,}", "limit": f"{limit:,}"}
        message = _("The list names %(count)s users; a segment holds at most %(limit)s.") % told
        raise UnreadableFile(message)
    return ReadList(entries=tuple(entries), problems=tuple(problems))


def find_users(read: ReadList, default: MemberState) -> FoundList:
    """Whom the entries name; what the list says nothing about is as `default` says."""
    emails = {each.text for each in read.entries if "@" in each.text}
    keys = {each.text for each in read.entries} - emails
    now = timezone.now()
    by_text = {**_by_email(sorted(emails)), **_by_key(sorted(keys))}
    members: dict[str, MemberState] = {}
    lines: dict[str, int] = {}
    problems: list[Remark] = []
    repeated: list[Remark] = []
    for entry in read.entries:
        user, state = by_text.get(entry.text), _state(entry, default)
        if user is None:
            problems.append(_nobody(entry))
        elif state.expires_at is not None and state.expires_at <= now:
            text = _("the time of %s has ended already.") % entry.text
            problems.append(Remark(entry.line, text))
        elif user not in lines:
            lines[user], members[user] = entry.line, state
        elif members[user] == state:
            repeated.append(_twice(entry, lines[user], _("%(text)s stands in line %(line)d too.")))
        else:
            text = _("%(text)s stands in line %(line)d too, and says otherwise.")
            problems.append(_twice(entry, lines[user], text))
    return FoundList(members=members, problems=tuple(problems), repeated=tuple(repeated))


def _twice(entry: Entry, line: int, text: str) -> Remark:
    return Remark(entry.line, text % {"text": entry.text, "line": line})


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """The rows that hold something, with the line on which each ends. Raises UnreadableFile."""
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    rows = []
    try:
        for cells in reader:
            stripped = [_FORMULA.sub("", cell.strip()) for cell in cells]
            if any(stripped):
                rows.append((reader.line_num, stripped))
    except csv.Error as error:
        told = {"line": reader.line_num, "problem": error}
        raise UnreadableFile(_("Line %(line)d cannot be read: %(problem)s.") % told) from error
    return rows


def _header(cells: Sequence[str]) -> dict[str, int]:
    """Where each column is, if this row names one with users; else nothing."""
    found: dict[str, int] = {}
    for number, cell in enumerate(cells):
        name = HEADERS.get(cell.lower())
        if name is not None:
            found.setdefault(name, number)
    return found if EMAIL in found or KEY in found else {}


def _named(line: int, cells: Sequence[str], header: Mapping[str, int]) -> Iterator[Entry | Remark]:
    """The entry of a row below a header, or what is wrong with it."""

    def cell(name: str) -> str:
        place = header.get(name)
        return cells[place] if place is not None and place < len(cells) else ""

    # The key stays when an address changes.
    text = _as_key(cell(KEY)) or _as_email(cell(EMAIL)) or _as_email(cell(KEY))
    kind = cell("kind").lower()
    expires_at = _as_moment(cell("expires_at"))
    if text is None:
        yield Remark(line, _nobody_in(cells))
    elif kind and kind not in SegmentMember.Kind.values:
        yield Remark(line, _("the kind is include or exclude, not “%s”.") % _short(kind))
    elif cell("expires_at") and expires_at is None:
        text = _("“%s” is no moment. Write 2027-01-31T12:00:00Z.") % _short(cell("expires_at"))
        yield Remark(line, text)
    else:
        yield Entry(
            line=line,
            text=text,
            kind=kind,
            reason=cell("reason")[:200] if "reason" in header else None,
            expires_at=expires_at,
            says_when="expires_at" in header,
        )


def _unnamed(line: int, cells: Sequence[str]) -> Iterator[Entry | Remark]:
    """Every address and key of a row without a header, or what is wrong with it."""
    found = [
        text
        for cell in cells
        for word in re.split(r"[\s,;]+", cell)
        if (text := _as_key(word) or _as_email(word)) is not None
    ]
    if not found:
        yield Remark(line, _nobody_in(cells))
    for text in found:
        yield Entry(line=line, text=text)


def _nobody_in(cells: Sequence[str]) -> str:
    return _("there is no e-mail and no key in “%s”.") % _short(" ".join(filter(None, cells)))


def _as_key(cell: str) -> str | None:
    try:
        return str(uuid.UUID(cell)) if len(cell) >= 32 else None
    except ValueError:
        return None


def _as_email(cell: str) -> str | None:
    """An address, also as mail programs write it: `Ada Adler <ada@agpt.co>`."""
    inside = re.search(r"<([^<>\s]+@[^<>\s]+)>", cell)
    address = (inside.group(1) if inside else cell).strip("<>\"'").lower()
    is_one = re.fullmatch(r"[^@\s]+@[^@\s]+", address) is not None
    return address if is_one and len(address) <= LONGEST_CELL else None


def _as_moment(cell: str) -> datetime.datetime | None:
    """An instant; without an offset it is the site's time."""
    try:
        moment = datetime.datetime.fromisoformat(cell)
    except ValueError:
        return None
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _state(entry: Entry, default: MemberState) -> MemberState:
    return MemberState(
        kind=entry.kind or default.kind,
        reason=default.reason if entry.reason is None else entry.reason,
        expires_at=entry.expires_at if entry.says_when else default.expires_at,
    )


def _nobody(entry: Entry) -> Remark:
    text = _("nobody has the e-mail %s.") if "@" in entry.text else _("nobody has the key %s.")
    return Remark(entry.line, text % _short(entry.text))


def _by_email(emails: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in _chunks(emails):
        rows = User.objects.filter(email__in=some).values_list("email", "pk")
        found |= {email: str(pk) for email, pk in rows}
    return found


def _by_key(keys: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in _chunks(keys):
        rows = User.objects.filter(pk__in=[uuid.UUID(key) for key in some])
        found |= {str(pk): str(pk) for pk in rows.values_list("pk", flat=True)}
    return found


def _chunks(texts: Sequence[str]) -> Iterator[Collection[str]]:
    for start in range(0, len(texts), LOOKED_UP_AT_ONCE):
        yield texts[start : start + LOOKED_UP_AT_ONCE]


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
