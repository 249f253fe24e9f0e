"""Segments carried to another installation, or from it: examined on the side that is written to, then applied.

Each way it is one document: all of it is written, or nothing, each segment after those that its rules name. The
examination is signed there: a change of somebody else in between stops the write. What needs an approval on that
side becomes a proposal there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from featureflags.core.types import JSONValue
from featureflags.editing.installations.client import Installation, InstallationError
from featureflags.editing.installations.differences import Difference
from featureflags.editing.installations.exchange import Sent, as_document


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


def pull_document(found: Iterable[Difference], *, with_members: bool) -> dict[str, JSONValue]:
    """The segments of the other side as a document for `import_segments`.

    Raises InstallationError for one that cannot be carried.
    """
    wanted = [each for each in found if each.there is not None]
    refuse_problems(wanted)
    return as_document(
        {each.key: each.there for each in wanted if each.there is not None},
        {each.key: each.left_out for each in wanted},
        with_members=with_members,
    )


def refuse_problems(wanted: Iterable[Difference]) -> None:
    """Raises InstallationError for a segment that cannot be carried."""
    for each in wanted:
        if each.problems:
            shown = {"key": each.key, "problem": each.problems[0]}
            raise InstallationError(_("%(key)s cannot be carried. %(problem)s") % shown)


def examine_there(other: Installation, sent: Sent, *, with_members: bool) -> Examined:
    """Ask the other side what a write of these segments would do; nothing is written.

    Raises InstallationError.
    """
    said = other.write({**_body(sent, with_members=with_members), "dry_run": True}, is_dry=True)
    return _read(other, said)


def push(
    other: Installation,
    sent: Sent,
    *,
    with_members: bool,
    token: str,
    keys: Collection[str],
    note: str,
) -> Examined:
    """Write there what was examined, all of it or nothing; what needs an approval is proposed there.

    `token`: of the examination that somebody has seen; `keys`: those that they typed. Raises
    InstallationError: nothing is written then, unless its text says otherwise.
    """
    confirmed = {"confirm": token, "confirm_keys": sorted(keys), "propose": True, "note": note}
    return _read(other, other.write({**_body(sent, with_members=with_members), **confirmed}))


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


def _body(sent: Sent, *, with_members: bool) -> dict[str, JSONValue]:
    """Raises InstallationError for rules that are broken here."""
    for key, problems in sent.problems.items():
        raise InstallationError(
            _("%(key)s cannot be carried. %(problem)s") % {"key": key, "problem": problems[0]}
        )
    dumped = sent.to_dict()
    return {"segments": dumped["segments"], "names": dumped["names"], "members": with_members}


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
    flags = _list(found.get("flags")) if isinstance(found, dict) else []
    for flag in flags:
        for one in _list(flag.get("changes")) if isinstance(flag, dict) else ():
            if isinstance(one, dict):
                yield f"{flag.get('flag')}: {one.get('before')} → {one.get('after')}: {one.get('count')}"


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
