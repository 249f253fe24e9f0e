"""Segments carried to another installation, or from it: examined on the side that is written to, then applied.

From there: a document that `import_segments` examines and writes, all of it or nothing. To there: one write for
each segment, in the order in which they name each other; each has the version that was seen and the confirmation
of its examination, so that a change of somebody else in between stops it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from featureflags.editing.about import ACTIVE
from featureflags.editing.documents import export_segments
from featureflags.editing.installations.client import Installation, InstallationError
from featureflags.editing.installations.differences import Difference
from featureflags.models.changesets import SegmentState
from featureflags.segments.parsing import load_rules
from featureflags.segments.references import levels, references

FIELDS: Final = ("name", "description", "is_active", "is_archived", "rules", "salt")
"""What is carried over, beside the tags."""
BAD_REQUEST: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteExamination:
    """What a write would do there, as its API said."""

    key: str
    lines: tuple[str, ...]
    entering: str
    leaving: str
    flags: tuple[str, ...]
    reasons: tuple[str, ...]
    """Why it must be confirmed; empty: it need not be."""
    needs_key: bool
    """True: the key of the segment must be typed."""
    token: str
    """Confirms exactly this. It is of use only together with the API key."""
    problem: str = ""
    """Why it could not be examined yet; empty: it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What was written there, in order, and what stopped it."""

    written: tuple[str, ...]
    stopped_at: str = ""
    problem: str = ""


def pull_document(found: Iterable[Difference]) -> dict[str, Any]:
    """The segments of the other side as a document for `import_segments`, with the members of here."""
    wanted = {each.key: each.there for each in found if each.there is not None}
    here = {each.key for each in found if each.here is not None} & wanted.keys()
    document: dict[str, Any] = export_segments(sorted(here), native=True) if here else {}
    ours: Mapping[str, Any] = document.get("segments", {})
    return {
        "segments": {
            key: {**ours.get(key, {"key": key, "version": 0}), **_as_document(state)}
            for key, state in wanted.items()
        }
    }


def examine_there(other: Installation, found: Iterable[Difference]) -> list[RemoteExamination]:
    """Ask the other side what each write would do, in the order of the writes. Raises InstallationError."""
    return [_examined(other, each) for each in in_order(found)]


def push(
    other: Installation,
    found: Iterable[Difference],
    *,
    note: str,
    confirms: Mapping[str, object],
) -> Pushed:
    """Write these segments there, until one is refused. `confirms`: the token or the typed key, by segment."""
    written: list[str] = []
    for each in in_order(found):
        sent = {**_fields(each), "note": note}
        if confirm := confirms.get(each.key):
            sent["confirm"] = confirm
        try:
            if each.there is None:
                other.create(sent)
            else:
                other.change(each.key, sent)
        except InstallationError as error:
            return Pushed(written=tuple(written), stopped_at=each.key, problem=problem_of(error))
        written.append(each.key)
    return Pushed(written=tuple(written))


def in_order(found: Iterable[Difference]) -> list[Difference]:
    """Those that exist here, each after those that its rules name."""
    states = {each.key: each for each in found if each.here is not None}
    graph = {
        key: references(load_rules(each.here.rules, each.here.kind)[0]) & states.keys()
        for key, each in states.items()
        if each.here is not None
    }
    layers, left_over = levels(graph)
    keys = [key for layer in layers for key in sorted(layer)]
    return [states[key] for key in (*keys, *sorted(left_over)) if key in states]


def problem_of(error: InstallationError) -> str:
    """What the other side said, with the messages of its fields."""
    errors = error.body.get("errors")
    said = (
        [text for value in errors.values() for text in _texts(value)]
        if isinstance(errors, dict)
        else []
    )
    return " ".join([str(error), *said[:5]])


def _examined(other: Installation, each: Difference) -> RemoteExamination:
    try:
        body = other.examine(each.key, _fields(each))
    except InstallationError as error:
        if error.status != BAD_REQUEST:
            raise
        # It may name a segment that an earlier write of the same run creates.
        return _remote(each.key, {}, problem=problem_of(error))
    return _remote(each.key, body)


def _remote(key: str, body: Mapping[str, Any], *, problem: str = "") -> RemoteExamination:
    flags = [one for one in body.get("flags", ()) if isinstance(one, dict)]
    return RemoteExamination(
        key=key,
        lines=tuple(map(str, body.get("changes", ()))),
        entering=_number(body.get("entering")),
        leaving=_number(body.get("leaving")),
        flags=tuple(dict.fromkeys(str(one.get("flag")) for one in flags)),
        reasons=tuple(map(str, body.get("reasons", ()))),
        needs_key=body.get("needs_key") is True,
        token=str(body.get("confirm") or ""),
        problem=problem,
    )


def _number(part: object) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("at_least"), int):
        return "?"
    number = f"{part['at_least']:,}"
    return number if part.get("exact") else f"at least {number}"


def _fields(each: Difference) -> dict[str, Any]:
    """The fields of a write. The version is the one that was compared."""
    here = each.here
    if here is None:
        raise ValueError("There is nothing to carry over.")
    sent: dict[str, Any] = {name: getattr(here, name) for name in FIELDS}
    sent["tags"] = list(here.tags)
    if each.there is None:
        return {**sent, "key": here.key, "kind": here.kind}
    return {**sent, "version": each.there.version}


def _as_document(state: SegmentState) -> dict[str, Any]:
    return {
        "kind": state.kind,
        "name": state.name,
        "description": state.description,
        ACTIVE: state.is_active,
        "isArchived": state.is_archived,
        "tags": list(state.tags),
        "rules": state.rules,
        "salt": state.salt,
    }


def _texts(value: object) -> Collection[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [str(value)]
