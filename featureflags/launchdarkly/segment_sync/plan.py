"""Compares LaunchDarkly's segments with ours. Pure: no call, no database.

A crash may leave a segment without its rule, since creating it takes two calls. The next run
finishes it. A segment that somebody edited has drifted: it is restored on demand only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from featureflags.launchdarkly.rest.models import (
    USER_KIND,
    AddRule,
    Instruction,
    NewClause,
    RemoteSegment,
    Rule,
    UpdateName,
)
from featureflags.launchdarkly.segment_sync.drift import edits, rules_of, undo

ATTRIBUTE = "segments"
"""The attribute of a context that holds the keys of its segments."""

RULE_DESCRIPTION = "Decided by the application. Edit the segment there."


class Kind(StrEnum):
    """What a step is."""

    CREATE = "create"
    FINISH = "finish"
    """It was created and has no rule yet, or has it twice."""
    RENAME = "rename"
    CURRENT = "current"
    DRIFT = "drift"
    CONFLICT = "conflict"
    """Somebody else's segment has the key."""
    UNUSED = "unused"
    """It is ours, and no active segment here has its key."""


CHANGES = frozenset({Kind.CREATE, Kind.FINISH, Kind.RENAME})
"""What a run does without options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSegment:
    """An active segment of the database."""

    key: str
    name: str
    description: str = ""
    kind: str = USER_KIND
    """Of the contexts in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do, or to leave, with one segment."""

    kind: Kind
    key: str
    sentence: str
    """What it is, for people; without a full stop."""
    wanted: WantedSegment | None = None
    instructions: tuple[Instruction, ...] = ()
    """What a patch has to do. For DRIFT: what a repair has to do; none if it cannot be repaired."""
    used_by: tuple[str, ...] = ()
    """The flags of LaunchDarkly that target the segment. Known for UNUSED alone."""


def plan(
    wanted: Iterable[WantedSegment], remote: Iterable[RemoteSegment], *, tag: str
) -> list[Step]:
    """The steps, by key. `remote` holds at least what carries `tag` and what has a wanted key."""
    wanted_by_key = {segment.key: segment for segment in wanted}
    remote_by_key = {segment.key: segment for segment in remote}
    steps = []
    for key in sorted(wanted_by_key | remote_by_key):
        steps += _steps_for_key(key, wanted_by_key, remote_by_key, tag=tag)
    return steps


def _steps_for_key(
    key: str,
    wanted: Mapping[str, WantedSegment],
    remote: Mapping[str, RemoteSegment],
    *,
    tag: str,
) -> list[Step]:
    if key not in remote:
        return [creation(wanted[key])]
    if key in wanted:
        return steps_for(wanted[key], remote[key], tag=tag)
    return [_unused(remote[key])] if is_ours(remote[key], tag) else []


def is_ours(segment: RemoteSegment, tag: str) -> bool:
    """Whether we may touch it."""
    return tag in (segment.tags or ())


def creation(wanted: WantedSegment) -> Step:
    sentence = f"create “{wanted.name}”, whose rule is: {_attribute(wanted)} in {wanted.key}"
    return Step(kind=Kind.CREATE, key=wanted.key, sentence=sentence, wanted=wanted)


def _attribute(wanted: WantedSegment) -> str:
    return ATTRIBUTE if wanted.kind == USER_KIND else f"{wanted.kind} {ATTRIBUTE}"


def steps_for(wanted: WantedSegment, remote: RemoteSegment, *, tag: str) -> list[Step]:
    """What to do with a segment that both sides have: one step, or a new name and a drift."""
    key = wanted.key
    if not is_ours(remote, tag):
        sentence = f"somebody else's: it has no tag “{tag}”"
        return [Step(kind=Kind.CONFLICT, key=key, sentence=sentence, wanted=wanted)]
    steps = []
    if remote.name != wanted.name:
        sentence = f"rename “{remote.name}” to “{wanted.name}”"
        patch = (UpdateName(value=wanted.name),)
        steps.append(
            Step(kind=Kind.RENAME, key=key, sentence=sentence, wanted=wanted, instructions=patch)
        )
    rest = _rest(wanted, remote)
    if rest.kind is not Kind.CURRENT or not steps:
        steps.append(rest)
    return steps


def _rest(wanted: WantedSegment, remote: RemoteSegment) -> Step:
    """All but the name."""
    key = wanted.key
    found = edits(remote, lambda rule: is_our_rule(rule, key, wanted.kind))
    rules = rules_of(remote)
    if found:
        sentence = f"edited in LaunchDarkly: {', '.join(found)}"
        patch = () if remote.unbounded else _repair(remote, wanted)
        return Step(kind=Kind.DRIFT, key=key, sentence=sentence, wanted=wanted, instructions=patch)
    if len(rules) == 1:
        return Step(kind=Kind.CURRENT, key=key, sentence="as it should be", wanted=wanted)
    sentence = (
        f"remove its rule's copies ({len(rules) - 1})"
        if rules
        else f"finish it: its rule is missing, {_attribute(wanted)} in {key}"
    )
    return Step(
        kind=Kind.FINISH,
        key=key,
        sentence=sentence,
        wanted=wanted,
        instructions=_repair(remote, wanted),
    )


def _unused(remote: RemoteSegment) -> Step:
    flags = tuple(sorted(flag.key for flag in remote.flags or ()))
    targeted = f"; flags that target it: {', '.join(flags)}" if flags else ""
    return Step(
        kind=Kind.UNUSED,
        key=remote.key,
        sentence=f"no active segment here has this key{targeted}",
        used_by=flags,
    )


def is_our_rule(rule: Rule, key: str, kind: str = USER_KIND) -> bool:
    """Whether it is exactly the rule that we would add for a segment of this kind."""
    clauses = rule.clauses or ()
    if rule.weight is not None or len(clauses) != 1:
        return False
    (clause,) = clauses
    return (
        clause.attribute in {ATTRIBUTE, f"/{ATTRIBUTE}"}
        and clause.op == "in"
        and clause.values == (key,)
        and not clause.negate
        and (clause.context_kind or USER_KIND) == kind
    )


def our_rule(key: str, kind: str = USER_KIND) -> AddRule:
    """Never `contains`: `user` is a part of `new_user`."""
    clause = NewClause(context_kind=kind, attribute=ATTRIBUTE, op="in", negate=False, values=(key,))
    return AddRule(clauses=(clause,), description=RULE_DESCRIPTION)


def _repair(remote: RemoteSegment, wanted: WantedSegment) -> tuple[Instruction, ...]:
    """Keep our rule, the first if there are several, or add it; undo everything else."""
    key, kind = wanted.key, wanted.kind
    ours = [rule for rule in rules_of(remote) if is_our_rule(rule, key, kind)]
    patch = undo(remote, keep=ours[0] if ours else None)
    return patch if ours else (*patch, our_rule(key, kind))
