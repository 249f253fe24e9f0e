"""Segments promoted to another installation, or from it: examined on the side that is written to, then applied.

Each way it is one document: all of it is written, or nothing, each segment after those that its rules name. The
examination is signed there: a change of somebody else in between stops the write. What needs an approval on that
side becomes a proposal there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from featureflags.core.types import JSONValue
from featureflags.editing.applying import Approval
from featureflags.editing.examining import Examination
from featureflags.editing.history.entries import PROMOTED
from featureflags.editing.importing import import_segments
from featureflags.editing.installations.client import Installation, InstallationError
from featureflags.editing.installations.differences import Difference
from featureflags.editing.installations.exchange import Sent, as_document, send


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteExamination:
    """What the write of one segment would do there, as its API said."""

    key: str
    lines: tuple[str, ...]
    entering: str
    leaving: str
    flags: tuple[str, ...]
    effects: tuple[str, ...]
    """Of each flag: who gets another value."""
    reasons: tuple[str, ...]
    """Why it must be confirmed; empty: it need not be."""
    needs_key: bool
    """True: the key of the segment must be typed."""
    needs_approval: bool
    """True: it becomes a proposal there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a write of several segments would do there."""

    segments: tuple[RemoteExamination, ...]
    token: str
    """Confirms exactly this. It is of use only together with the API key."""
    left_out: tuple[str, ...]
    """Members and owners of here who are nobody there: a sentence for each segment."""

    @property
    def keys_to_type(self) -> list[str]:
        return [one.key for one in self.segments if one.needs_key and not one.needs_approval]

    @property
    def proposed(self) -> list[str]:
        """The segments whose change becomes a proposal there."""
        return [one.key for one in self.segments if one.needs_approval]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """Segments of there that are to be written here."""

    document: Mapping[str, JSONValue]
    chosen: Sequence[Difference]
    with_members: bool

    @classmethod
    def of(cls, chosen: Iterable[Difference], *, with_members: bool) -> Pull:
        """Raises InstallationError for a segment that cannot be promoted."""
        wanted = [each for each in chosen if each.there is not None or each.problems]
        refuse_problems(wanted)
        document = as_document(
            {each.key: each.there for each in wanted if each.there is not None},
            {each.key: each.left_out for each in wanted},
            with_members=with_members,
        )
        return cls(document=document, chosen=wanted, with_members=with_members)

    def left_out(self, *, sees: Collection[str]) -> list[str]:
        """Members and owners who are nobody here, in sentences. `sees`: kinds whose rows may be named."""
        return [
            f"{each.key}: {words}"
            for each in self.chosen
            for words in each.left_out.words(with_names=each.left_out.kind in sees)
            if self.with_members
        ]

    def examine(self) -> list[Examination]:
        """What it would do here. Raises NotImportable."""
        return import_segments(self.document, dry_run=True)

    def write(
        self, examined: Collection[Examination], *, note: str, approval: Approval | None
    ) -> None:
        """Write exactly this, all of it or nothing. Raises NotImportable."""
        import_segments(
            self.document, note=note, expected=examined, approval=approval, source=PROMOTED
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Segments of here that are to be written there. `other` says what that does, and does it."""

    other: Installation
    sent: Sent
    with_members: bool

    @classmethod
    def of(
        cls,
        other: Installation,
        keys: Collection[str],
        *,
        named: Collection[str],
        with_members: bool,
    ) -> Push:
        """`named`: kinds whose titles may be sent. Raises InstallationError for rules that are broken here."""
        sent = send(keys, named, with_members=with_members)
        for key, problems in sent.problems.items():
            raise _cannot(key, problems)
        return cls(other=other, sent=sent, with_members=with_members)

    def examine(self) -> Examined:
        """Ask what it would do there; nothing is written. Raises InstallationError."""
        said = self.other.write({**self._body(), "dry_run": True}, is_dry=True)
        return _read(self.other, said)

    def write(self, *, token: str, keys: Collection[str], note: str) -> Examined:
        """Write there what was examined, all of it or nothing; what needs an approval is proposed there.

        `token`: of the examination that somebody has seen; `keys`: those that they typed. Raises
        InstallationError: nothing is written then, unless its text says otherwise.
        """
        confirmed = {"confirm": token, "confirm_keys": sorted(keys), "propose": True, "note": note}
        return _read(self.other, self.other.write({**self._body(), **confirmed}))

    def _body(self) -> dict[str, JSONValue]:
        dumped = self.sent.to_dict()
        return {
            "segments": dumped["segments"],
            "names": dumped["names"],
            "members": self.with_members,
        }


def refuse_problems(wanted: Iterable[Difference]) -> None:
    """Raises InstallationError for a segment that cannot be promoted."""
    for each in wanted:
        if each.problems:
            raise _cannot(each.key, each.problems)


def _cannot(key: str, problems: Sequence[str]) -> InstallationError:
    shown = {"key": key, "problem": problems[0]}
    return InstallationError(_("%(key)s cannot be promoted. %(problem)s") % shown)


def _read(other: Installation, said: Mapping[str, Any]) -> Examined:
    listed, token = said.get("segments"), said.get("confirm")
    if not isinstance(listed, list) or not isinstance(token, str):
        raise other.another_form()
    found = tuple(_examined(one) for one in listed if isinstance(one, dict))
    gone = said.get("left_out")
    left_out = tuple(
        f"{key}: {text}"
        for key, words in (gone.items() if isinstance(gone, dict) else ())
        for text in _list(words)
    )
    return Examined(segments=found, token=token, left_out=left_out)


def problem_of(error: InstallationError) -> str:
    """What the other side said, with the messages of its fields."""
    errors = error.body.get("errors")
    said = _texts(errors) if isinstance(errors, dict) else []
    return " ".join(
        dict.fromkeys([str(error), *(text for text in said[:5] if text not in str(error))])
    )


def _examined(body: Mapping[str, Any]) -> RemoteExamination:
    flags = [one for one in _list(body.get("flags")) if isinstance(one, dict)]
    return RemoteExamination(
        key=str(body.get("key")),
        lines=tuple(map(str, _list(body.get("changes")))),
        entering=_number(body.get("entering")),
        leaving=_number(body.get("leaving")),
        flags=tuple(dict.fromkeys(str(one.get("flag")) for one in flags)),
        effects=tuple(_effects(body.get("effects"))),
        reasons=tuple(map(str, _list(body.get("reasons")))),
        needs_key=body.get("needs_key") is True,
        needs_approval=body.get("needs_approval") is True,
    )


def _effects(found: object) -> Iterable[str]:
    """Of those who move, and of those who belong to them."""
    parts = [found, *_list(found.get("belonging"))] if isinstance(found, dict) else []
    for part in parts:
        flags = _list(part.get("flags")) if isinstance(part, dict) else []
        kind = "" if part is found else f" ({part.get('kind')})"
        for flag in flags:
            for one in _list(flag.get("changes")) if isinstance(flag, dict) else ():
                if isinstance(one, dict):
                    words = f"{one.get('before')} → {one.get('after')}: {one.get('count')}"
                    yield f"{flag.get('flag')}{kind}: {words}"


def _number(part: object) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("at_least"), int):
        return "?"
    number = f"{part['at_least']:,}"
    return number if part.get("exact") else _("at least %s") % number


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [str(value)]
