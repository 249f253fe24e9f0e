"""A change in sentences: for the history, a confirmation, an import and a conflict.

`Rule 1: changed condition: plan is any of "pro" → plan is any of "team"`,
`Included 2 users: ada@example.com, ben@example.com (until 1 May 2027, 12:00 (UTC))`.

Hidden SQL: `change_in_words` asks one query where it may show addresses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from featureflags.core.types import AccountKey
from featureflags.editing.about import about_in_words
from featureflags.editing.changes import Change, MemberChange
from featureflags.editing.condition_sentences import (
    condition_in_words,
    moment_in_words,
    rule_in_words,
    share_change_in_words,
)
from featureflags.editing.rule_pairs import clauses_left_over, rule_pairs
from featureflags.kinds.nouns import noun
from featureflags.kinds.registry import USER, kind_named
from featureflags.models.changesets import MemberState, Moved, SegmentState
from featureflags.segments.definitions import Clause, Rule
from featureflags.segments.export import dump_rules
from featureflags.segments.formatting import MOST_LISTED, joined, show, visible
from featureflags.segments.parsing import load_rules

LONGEST: Final = 120
"""Characters of a description in a sentence."""
NAMED: Final = 5
"""Users who are named in a sentence; it counts the others."""

INCLUDE, EXCLUDE = "include", "exclude"

_CHANGED = gettext_lazy("Changed beginning, end or reason of %(count)s %(rows)s: %(names)s")
_SENTENCES: Final[Mapping[tuple[str, str], Any]] = {
    (INCLUDE, INCLUDE): _CHANGED,
    (EXCLUDE, EXCLUDE): _CHANGED,
    ("", INCLUDE): gettext_lazy("Included %(count)s %(rows)s: %(names)s"),
    (EXCLUDE, INCLUDE): gettext_lazy("Included %(count)s %(rows)s, excluded before: %(names)s"),
    ("", EXCLUDE): gettext_lazy("Excluded %(count)s %(rows)s: %(names)s"),
    (INCLUDE, EXCLUDE): gettext_lazy("Excluded %(count)s %(rows)s, included before: %(names)s"),
    (INCLUDE, ""): gettext_lazy("No longer includes %(count)s %(rows)s: %(names)s"),
    (EXCLUDE, ""): gettext_lazy("No longer excludes %(count)s %(rows)s: %(names)s"),
}
"""By the kind of membership before and after; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMember:
    """A user as a sentence names them."""

    user: str | None
    """The key, or the address; None: the account is deleted."""
    key: str = ""
    """Of the row, where there is a page to lead to."""
    after: MemberState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberGroup:
    """Users with the same kind of membership before and after, some of them by name."""

    before: str
    """The kind of membership; empty: none."""
    after: str
    count: int
    some: tuple[NamedMember, ...]


def change_in_words(change: Change, *, with_addresses: bool) -> list[str]:
    """What a change does, in sentences. Users by address only if the reader may see addresses."""
    groups = member_groups(change.members)
    named = {one.user for group in groups for one in group.some if one.user is not None}
    names: dict[str, str] = {}
    if with_addresses and named:
        kind = kind_named(change.state.kind)
        names = {} if kind is None else kind.titles(named)
    lines = segment_in_words(change.before, change.after)
    return lines + members_in_words(groups, change.state.kind, lambda key: names.get(key, key))


def segment_in_words(old: SegmentState | None, new: SegmentState | None) -> list[str]:
    """What differs between two rows of a segment; None: there is no segment."""
    if new is None:
        if old is None:
            return []
        removed = [_removed(rule, number) for number, rule in _numbered(old)]
        return [_("Deleted “%s”") % visible(old.name), *removed]
    if old is None:
        created = [_("Created as “%s”") % visible(new.name)]
        created += [] if new.is_active else [_("Inactive: nobody is in it")]
        return created + [_added(rule, number) for number, rule in _numbered(new)]
    lines = [*_about(old, new), *_rules(_rules_of(old), _rules_of(new))]
    return lines or ([] if old.says_the_same(new) else [_("Rules that are broken changed")])


def rules_in_words(state: SegmentState) -> list[str]:
    """Each rule of a segment, as one sentence."""
    return [f"{_named(rule, number)}: {rule_in_words(rule)}" for number, rule in _numbered(state)]


def member_groups(members: Mapping[AccountKey, MemberChange]) -> list[MemberGroup]:
    """Users with the same kind of membership before and after; the first of each by name."""
    groups: dict[tuple[str, str], list[NamedMember]] = {}
    for user, one in members.items():
        kinds = (one.before.kind if one.before else "", one.after.kind if one.after else "")
        groups.setdefault(kinds, []).append(NamedMember(user=str(user), after=one.after))
    return [
        MemberGroup(before=before, after=after, count=len(found), some=tuple(found[:NAMED]))
        for (before, after), found in sorted(groups.items())
    ]


def members_in_words(
    groups: Iterable[MemberGroup], kind: str, name_of: Callable[[str], str] = str
) -> list[str]:
    """One sentence for each group. `kind`: that of the rows; `name_of`: from a key to the name that is shown."""
    return [_group_in_words(group, kind, name_of) for group in groups]


def moved_in_words(moved: Moved) -> str:
    """How many enter and leave: `+1,200, \u22123`, or `at least +1,200, \u22123`."""
    text = f"+{moved.entering:,}, \u2212{moved.leaving:,}"
    return _("at least %s") % text if moved.at_least else text


def _about(old: SegmentState, new: SegmentState) -> Iterator[str]:
    if old.name != new.name:
        names = {"old": visible(old.name), "new": visible(new.name)}
        yield _("Name changed from “%(old)s” to “%(new)s”") % names
    if old.description != new.description:
        described = _("Description changed to “%s”") % _short(new.description)
        yield described if new.description else _("Description removed")
    if old.is_active != new.is_active:
        yield _("Activated") if new.is_active else _("Deactivated: nobody is in it now")
    yield from about_in_words(old, new)


def _numbered(state: SegmentState) -> Iterator[tuple[int, Rule]]:
    return enumerate(_rules_of(state), start=1)


def _rules_of(state: SegmentState) -> tuple[Rule, ...]:
    """The rules, whose conditions name the kind of the segment where it is not `user`."""
    rules, _problems = load_rules(state.rules, state.kind)
    if state.kind == USER:
        return rules
    return tuple(
        replace(
            rule,
            clauses=tuple(replace(c, context_kind=state.kind) for c in rule.clauses),
            rollout_context_kind=state.kind,
        )
        for rule in rules
    )


def _rules(old: Sequence[Rule], new: Sequence[Rule]) -> list[str]:
    pairs = rule_pairs(old, new)
    gone = [number for number in range(len(old)) if number not in pairs]
    found = [_removed(old[number], number + 1) for number in gone]
    partners = {after: before for before, after in pairs.items()}
    for number, rule in enumerate(new):
        if number in partners:
            found += _rule(old[partners[number]], rule, number + 1)
        else:
            found.append(_added(rule, number + 1))
    if found or json.dumps(dump_rules(old)) == json.dumps(dump_rules(new)):
        return found
    if list(pairs.values()) != sorted(pairs.values()):
        return [_("The order of the rules changed, which changes nothing else")]
    return [_("Identifiers in the rules changed, which changes nothing else")]


def _rule(old: Rule, new: Rule, number: int) -> list[str]:
    where = _named(new, number)
    found: list[str] = []
    if old.description != new.description:
        found.append(
            _("description changed to “%s”") % _short(new.description)
            if new.description
            else _("description removed")
        )
    came = clauses_left_over(new.clauses, old.clauses)
    for before in clauses_left_over(old.clauses, new.clauses):
        after = next((each for each in came if each.attribute == before.attribute), None)
        if after is None:
            found.append(_("removed condition: %s") % condition_in_words(before))
        else:
            came.remove(after)
            found.append(_values_changed(before, after) or _condition(before, after))
    found += [_("added condition: %s") % condition_in_words(each) for each in came]
    found += share_change_in_words(old, new)
    return [f"{where}: {one}" for one in found]


def _values_changed(before: Clause, after: Clause) -> str:
    """Which values came and went, where a list is too long to be written out; else empty."""
    is_long = max(len(before.values), len(after.values)) > MOST_LISTED
    if not is_long or replace(before, values=after.values) != after:
        return ""
    old, new = ({show(value): value for value in one.values} for one in (before, after))
    parts = [
        text % joined(values, show)
        for text, values in (
            (_("added %s"), [new[name] for name in new if name not in old]),
            (_("removed %s"), [old[name] for name in old if name not in new]),
        )
        if values
    ]
    if not parts:
        return ""
    values = {"words": condition_in_words(after), "changes": ", ".join(parts)}
    return _("changed values of the condition %(words)s: %(changes)s") % values


def _condition(before: Clause, after: Clause) -> str:
    old, new = condition_in_words(before), condition_in_words(after)
    if old == new:
        return _("changed details of the condition %s") % new
    return _("changed condition: %(old)s → %(new)s") % {"old": old, "new": new}


def _added(rule: Rule, number: int) -> str:
    return _("Added rule %(rule)s: %(words)s") % {
        "rule": _label(rule, number),
        "words": rule_in_words(rule),
    }


def _removed(rule: Rule, number: int) -> str:
    values = {"rule": _label(rule, number), "words": rule_in_words(rule)}
    return _("Removed rule %(rule)s: %(words)s") % values


def _named(rule: Rule, number: int) -> str:
    return _("Rule %s") % _label(rule, number)


def _label(rule: Rule, number: int) -> str:
    return f"{number} ({_short(rule.description)})" if rule.description else str(number)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return visible(flat if len(flat) <= LONGEST else flat[: LONGEST - 1] + "…")


def _group_in_words(group: MemberGroup, kind: str, name_of: Callable[[str], str]) -> str:
    names = [_member_in_words(one, kind, name_of) for one in group.some]
    more = group.count - len(names)
    if more > 0:
        names.append(ngettext("%s more", "%s more", more) % f"{more:,}")
    values = {
        "count": f"{group.count:,}",
        "rows": noun(kind, group.count),
        "names": ", ".join(names),
    }
    return str(_SENTENCES[group.before, group.after] % values)


def _member_in_words(one: NamedMember, kind: str, name_of: Callable[[str], str]) -> str:
    deleted = _("(deleted %s)") % noun(kind, 1)
    name = deleted if one.user is None else visible(name_of(one.user))
    if one.after is None:
        return name
    bounds = ((_("from %s"), one.after.starts_at), (_("until %s"), one.after.expires_at))
    details = [words % moment_in_words(at) for words, at in bounds if at is not None]
    if one.after.reason:
        details.append(f"“{_short(one.after.reason)}”")
    return f"{name} ({', '.join(details)})" if details else name
