"""What differs between two definitions of a segment, in sentences: for the history, an import, a
stale edit. Pure: nothing is read here.

Rules are paired by their id, else by what they test, so that a condition that was added is told as
one, and not as a rule that went and another that came.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, ngettext_lazy

from featureflags.editing.documents import SegmentDocument
from featureflags.editing.moments import moment_in_words
from featureflags.editing.sentences import condition_in_words
from featureflags.models.changesets import MemberState
from featureflags.segments.definitions import Clause, Rule
from featureflags.segments.export import dump_rules
from users.times import to_datetime

LONGEST: Final = 120
"""Characters of a description in a sentence."""
NAMED: Final = 5
"""Users who are named in a sentence, before it only counts the others."""

INCLUDE, EXCLUDE = "include", "exclude"

_CHANGED = ngettext_lazy(
    "Changed expiry or reason of %(count)s user: %(names)s",
    "Changed expiry or reason of %(count)s users: %(names)s",
    "n",
)
_SENTENCES: Final[Mapping[tuple[str, str], Any]] = {
    (INCLUDE, INCLUDE): _CHANGED,
    (EXCLUDE, EXCLUDE): _CHANGED,
    ("", INCLUDE): ngettext_lazy(
        "Included %(count)s user: %(names)s", "Included %(count)s users: %(names)s", "n"
    ),
    (EXCLUDE, INCLUDE): ngettext_lazy(
        "Included %(count)s user who was excluded: %(names)s",
        "Included %(count)s users who were excluded: %(names)s",
        "n",
    ),
    ("", EXCLUDE): ngettext_lazy(
        "Excluded %(count)s user: %(names)s", "Excluded %(count)s users: %(names)s", "n"
    ),
    (INCLUDE, EXCLUDE): ngettext_lazy(
        "Excluded %(count)s user who was included: %(names)s",
        "Excluded %(count)s users who were included: %(names)s",
        "n",
    ),
    (INCLUDE, ""): ngettext_lazy(
        "No longer includes %(count)s user: %(names)s",
        "No longer includes %(count)s users: %(names)s",
        "n",
    ),
    (EXCLUDE, ""): ngettext_lazy(
        "No longer excludes %(count)s user: %(names)s",
        "No longer excludes %(count)s users: %(names)s",
        "n",
    ),
}
"""What happened, by the kind of membership before and after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberDifference:
    """What changed about one user; None: no membership."""

    user: str | None
    """The key, or what the reader may know them by; None: the account is deleted."""
    before: MemberState | None
    after: MemberState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberGroup:
    """Users to whom the same happened, some of them by name."""

    before: str
    """The kind of membership; empty: none."""
    after: str
    count: int
    some: tuple[MemberDifference, ...]


def differences(old: SegmentDocument | None, new: SegmentDocument | None) -> list[str]:
    """What became of a segment, its members aside; empty if nothing did. None: there is none."""
    if old is None and new is None:
        return []
    if old is None and new is not None:
        created = [_("Created as “%s”") % new.name]
        created += [] if new.is_active else [_("Inactive: nobody is in it")]
        return created + [_added(rule, number) for number, rule in _numbered(new)]
    if new is None and old is not None:
        return [
            _("Deleted “%s”") % old.name,
            *(_removed(rule, number) for number, rule in _numbered(old)),
        ]
    assert old is not None  # noqa: S101 - for the type checker
    assert new is not None  # noqa: S101
    return [*_about(old, new), *_rules(old.definition.rules, new.definition.rules)]


def rules_in_words(document: SegmentDocument) -> list[str]:
    """Each rule of a segment, as one sentence."""
    return [f"{_named(rule, number)}: {_all(rule)}" for number, rule in _numbered(document)]


def member_groups(found: Iterable[MemberDifference]) -> list[MemberGroup]:
    """Those to whom the same happened, together; the first of each by name."""
    groups: dict[tuple[str, str], list[MemberDifference]] = {}
    for one in found:
        if one.before != one.after:
            place = (one.before.kind if one.before else "", one.after.kind if one.after else "")
            groups.setdefault(place, []).append(one)
    return [
        MemberGroup(before=before, after=after, count=len(members), some=tuple(members[:NAMED]))
        for (before, after), members in sorted(groups.items())
    ]


def members_of(document: SegmentDocument | None) -> dict[str, MemberState]:
    """The members of a document by user key. It knows no reasons."""
    if document is None:
        return {}
    definition = document.definition
    members = {user: _state(EXCLUDE, until) for user, until in definition.excluded.items()}
    return members | {user: _state(INCLUDE, until) for user, until in definition.included.items()}


def members_between(
    before: Mapping[str, MemberState], after: Mapping[str, MemberState]
) -> Iterator[MemberDifference]:
    """What becomes of each user between two lists of members."""
    for user in sorted(before.keys() | after.keys()):
        if before.get(user) != after.get(user):
            yield MemberDifference(user=user, before=before.get(user), after=after.get(user))


def members_in_words(
    groups: Iterable[MemberGroup], name_of: Callable[[str], str] = str
) -> list[str]:
    """One sentence for each group. `name_of` a user's key: whom the reader may know by name."""
    return [_group_in_words(group, name_of) for group in groups]


def _state(kind: str, until: int | None) -> MemberState:
    expires_at = None if until is None else to_datetime(until)
    return MemberState(kind=kind, reason="", expires_at=expires_at)


def _about(old: SegmentDocument, new: SegmentDocument) -> Iterator[str]:
    if old.name != new.name:
        yield _("Name changed from “%(old)s” to “%(new)s”") % {"old": old.name, "new": new.name}
    if old.description != new.description:
        described = _("Description changed to “%s”") % _short(new.description)
        yield described if new.description else _("Description removed")
    if old.is_active != new.is_active:
        yield _("Activated") if new.is_active else _("Deactivated: nobody is in it now")


def _numbered(document: SegmentDocument) -> Iterator[tuple[int, Rule]]:
    return enumerate(document.definition.rules, start=1)


def _rules(old: Sequence[Rule], new: Sequence[Rule]) -> list[str]:
    pairs = _paired(old, new)
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


def _paired(old: Sequence[Rule], new: Sequence[Rule]) -> dict[int, int]:
    """Which rule became which, by place: the same id, the same conditions, or the most alike."""
    pairs: dict[int, int] = {}
    _pair_equal(pairs, [rule.id for rule in old], [rule.id for rule in new])
    before, after = [_texts(rule) for rule in old], [_texts(rule) for rule in new]
    _pair_equal(pairs, [_whole(texts) for texts in before], [_whole(texts) for texts in after])
    taken = set(pairs.values())
    alike = sorted(
        (-likeness, abs(i - j), i, j)
        for i in range(len(old))
        for j in range(len(new))
        if i not in pairs
        and j not in taken
        and (likeness := 2 * (before[i] & after[j]).total() + _shared(old[i], new[j]))
    )
    for _likeness, _distance, i, j in alike:
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return dict(sorted(pairs.items()))


def _pair_equal(pairs: dict[int, int], old: Sequence[str], new: Sequence[str]) -> None:
    """Pair the places of what is equal, and not empty, each once."""
    taken = set(pairs.values())
    places: dict[str, list[int]] = {}
    for j, text in enumerate(new):
        if text and j not in taken:
            places.setdefault(text, []).append(j)
    for i, text in enumerate(old):
        if i not in pairs and places.get(text):
            pairs[i] = places[text].pop(0)


def _texts(rule: Rule) -> Counter[str]:
    """The conditions as JSON: there True and 1 stay apart."""
    return Counter(json.dumps(dump_rules([Rule(clauses=(each,))])) for each in rule.clauses)


def _whole(texts: Counter[str]) -> str:
    return "".join(sorted(texts.elements()))


def _shared(old: Rule, new: Rule) -> int:
    """How many attributes both rules test."""
    attributes = {clause.attribute for clause in old.clauses}
    return len(attributes & {clause.attribute for clause in new.clauses})


def _rule(old: Rule, new: Rule, number: int) -> list[str]:
    where = _named(new, number)
    found: list[str] = []
    if old.description != new.description:
        found.append(
            _("description changed to “%s”") % _short(new.description)
            if new.description
            else _("description removed")
        )
    gone, came = _left_over(old.clauses, new.clauses), _left_over(new.clauses, old.clauses)
    for before in gone:
        after = next((each for each in came if each.attribute == before.attribute), None)
        if after is None:
            found.append(_("removed condition: %s") % condition_in_words(before))
        else:
            came.remove(after)
            found.append(_condition(condition_in_words(before), condition_in_words(after)))
    found += [_("added condition: %s") % condition_in_words(each) for each in came]
    return [f"{where}: {one}" for one in found]


def _condition(old: str, new: str) -> str:
    if old == new:
        return _("changed details of the condition %s") % new
    return _("changed condition: %(old)s → %(new)s") % {"old": old, "new": new}


def _left_over(clauses: Sequence[Clause], others: Sequence[Clause]) -> list[Clause]:
    """The clauses that have no equal among the others."""
    pending = _texts(Rule(clauses=tuple(others)))
    left = []
    for clause in clauses:
        (text,) = _texts(Rule(clauses=(clause,)))
        if pending[text]:
            pending[text] -= 1
        else:
            left.append(clause)
    return left


def _added(rule: Rule, number: int) -> str:
    return _("Added rule %(rule)s: %(words)s") % {"rule": _label(rule, number), "words": _all(rule)}


def _removed(rule: Rule, number: int) -> str:
    told = {"rule": _label(rule, number), "words": _all(rule)}
    return _("Removed rule %(rule)s: %(words)s") % told


def _all(rule: Rule) -> str:
    return _(" and ").join(condition_in_words(clause) for clause in rule.clauses) or _(
        "(no condition)"
    )


def _named(rule: Rule, number: int) -> str:
    return _("Rule %s") % _label(rule, number)


def _label(rule: Rule, number: int) -> str:
    return f"{number} ({_short(rule.description)})" if rule.description else str(number)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST else flat[: LONGEST - 1] + "…"


def _group_in_words(group: MemberGroup, name_of: Callable[[str], str]) -> str:
    names = [_member_in_words(one, name_of) for one in group.some]
    more = group.count - len(names)
    if more > 0:
        names.append(ngettext("%s more", "%s more", more) % f"{more:,}")
    told = {"n": group.count, "count": f"{group.count:,}", "names": ", ".join(names)}
    return str(_SENTENCES[group.before, group.after] % told)


def _member_in_words(one: MemberDifference, name_of: Callable[[str], str]) -> str:
    name = _("(deleted user)") if one.user is None else name_of(one.user)
    state = one.after
    if state is None:
        return name
    told = []
    if state.expires_at is not None:
        told.append(_("until %s") % moment_in_words(state.expires_at))
    if state.reason:
        told.append(f"“{_short(state.reason)}”")
    return f"{name} ({', '.join(told)})" if told else name
