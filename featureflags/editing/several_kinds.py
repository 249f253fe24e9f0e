"""LaunchDarkly's segments that name several kinds, written as segments of one kind.

LaunchDarkly asks about a multi-context, such as a user and the organization that they belong to. Here a
segment is of the kind to whose rows the others belong, and a condition on another kind becomes one on
the attribute by which the own kind reads the same value. What has no such attribute is refused in words.

LaunchDarkly's order is: included of any kind, excluded of any kind, rules. So members of another kind become
rules and conditions. A condition on a kind that the context lacks never matches there, negated or not, and
a missing attribute does the same here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils.translation import gettext as _

from featureflags.editing.related_attributes import NoWay, Way, reached, way_to
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER, kind_or_user, kinds
from featureflags.segments.clause_values import values_of
from featureflags.segments.definitions import EXISTS, SEGMENT_MATCH, InvalidDefinition, Problem
from featureflags.segments.document_kinds import kind_of_document, kinds_of_document
from featureflags.segments.formatting import show
from featureflags.segments.member_json import Targets, targets_of
from featureflags.segments.operator_labels import LAUNCHDARKLY
from featureflags.segments.operators import value_test
from featureflags.segments.percentages import KEY
from featureflags.segments.references import attribute_path, attribute_reference

Json = dict[str, Any]

_OURS: Final = ("kind", "includedUntil", "excludedUntil", "membersFrom")
"""LaunchDarkly has none of them: such a document is of one kind."""


def kind_of_several(raw: Mapping[str, Any]) -> str:
    """The kind of a segment: that to whose rows the rows of all kinds that it names belong.

    It is one that the segment names, where one of these will do. Where none will, as if it named `user` alone.
    """
    named = kinds_of_document(raw)
    if not _names_several(raw, named):
        return kind_of_document(raw)
    for kind in sorted(kinds(), key=lambda each: each.name not in named):
        if named <= {kind.name} | reached(kind):
            return kind.name
    return USER


def in_one_kind(raw: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
    """The segment as one of a single kind, and what is changed for that.

    What is not of LaunchDarkly's form stays as it is, for the parser to name. Raises InvalidDefinition with
    everything that has no form in one kind.
    """
    if not _names_several(raw, kinds_of_document(raw)):
        return raw, []
    included, excluded = targets_of(raw, included=True), targets_of(raw, included=False)
    rules = raw.get("rules") or []
    if included is None or excluded is None or not isinstance(rules, list):
        return raw, []
    made = _Conversion(kind_or_user(kind_of_several(raw)))
    written = made.segment(rules, included, excluded)
    if made.problems:
        raise InvalidDefinition(made.problems)
    return {**raw, **written, "kind": made.kind.name}, made.remarks


def _names_several(raw: Mapping[str, Any], named: set[str]) -> bool:
    return len(named) > 1 and not any(raw.get(name) for name in _OURS)


class _Conversion:
    """One segment on its way into one kind."""

    def __init__(self, kind: CompiledKind) -> None:
        self.kind = kind
        self.remarks: list[Problem] = []
        self.problems: list[Problem] = []

    def segment(self, rules: Sequence[Any], included: Targets, excluded: Targets) -> Json:
        """The fields that change."""
        own = self.kind.name
        own_included, own_excluded = included.pop(own, []), excluded.pop(own, [])
        everywhere: list[Json] = []
        if included and own_excluded:
            # Else a user who is excluded by name would stay so in spite of an included organization.
            keys = [key for key in own_excluded if self.kind.parse_key(key) is not None]
            everywhere += [self._clause_of(KEY, "in", keys, negate=True)] if keys else []
            text = _(
                "excluded: saved as a condition of each rule, since who is included by %s comes first"
            )
            self._remark(text % ", ".join(map(repr, sorted(included))))
            own_excluded = []
        everywhere += self._members("excludedContexts", excluded, negate=True, orMissing=True)
        converted = [
            self._rule(rule, number, everywhere) for number, rule in enumerate(rules, start=1)
        ]
        converted += [
            {"clauses": [clause]} for clause in self._members("includedContexts", included)
        ]
        return {
            "included": own_included,
            "excluded": own_excluded,
            "includedContexts": [],
            "excludedContexts": [],
            "rules": converted,
        }

    def _members(self, field: str, members: Targets, **options: bool) -> list[Json]:
        """Conditions on the keys of other kinds."""
        found: list[Json] = []
        for other, keys in members.items():
            name = field if other != USER else field.removesuffix("Contexts")
            try:
                way = way_to(self.kind, other)
                key = way.key
            except NoWay as why:
                head = _("%(name)s: the members are of %(of)r, and the segment of %(kind)r")
                shown = {"name": name, "of": other, "kind": self.kind.name}
                self._refuse(head % shown, why)
                continue
            values = self._keys(way, keys, f"{name}: ")
            if not values:
                continue
            found.append(self._clause_of(key, "in", values, **options))
            if options:
                text = _("%(name)s: %(other)r is saved as a condition of each rule on %(own)s")
            else:
                text = _("%(name)s: %(other)r is saved as a rule of its own on %(own)s")
            self._remark(text % {"name": name, "other": other, "own": key})
        return found

    def _rule(self, rule: Any, number: int, everywhere: Sequence[Json]) -> Any:
        clauses = rule.get("clauses") if isinstance(rule, dict) else None
        if not isinstance(clauses, list):
            return rule
        written: list[Any] = []
        added: list[Json] = []
        for place, clause in enumerate(clauses, start=1):
            one, more = self._clause(clause, number, place)
            written.append(one)
            added += more
        changed, more = self._percentage(rule, number)
        return {**rule, **changed, "clauses": [*written, *added, *more, *everywhere]}

    def _clause(self, clause: Any, number: int, place: int) -> tuple[Any, list[Json]]:
        """A condition on the own kind, and what must hold beside it."""
        if isinstance(clause, dict) and clause.get("op") == SEGMENT_MATCH:
            # It is asked about the whole context, whatever kind it names.
            return {name: value for name, value in clause.items() if name != "contextKind"}, []
        path = _path(clause, "attribute", "contextKind")
        if path is None:
            return clause, []
        other = clause.get("contextKind") or USER
        try:
            if path == ("kind",):
                return self._on_kinds(clause, number, place), []
            if other == self.kind.name:
                return clause, []
            return self._on_other(clause, path, way_to(self.kind, other), number, place)
        except NoWay as why:
            head = _("the condition is on %(context_kind)r, and the segment on %(kind)r")
            if path == ("kind",):
                head = _("the condition is on the names of kinds, and the segment on %(kind)r")
            shown = {"context_kind": other, "kind": self.kind.name}
            self._refuse(head % shown, why, number, place)
            return clause, []

    def _on_other(
        self, clause: Json, path: tuple[str, ...], way: Way, number: int, place: int
    ) -> tuple[Json, list[Json]]:
        """Raises NoWay."""
        own = attribute_reference((name := way.name_of(path[0]), *path[1:]))
        written = {**clause, "attribute": own, "contextKind": self.kind.name}
        op, negate = clause.get("op"), clause.get("negate") is True
        # A list is empty where there is no such row, and not missing.
        is_asked = op != EXISTS and way.is_list(name) and (negate or op not in LAUNCHDARKLY)
        added = [self._clause_of(way.key, EXISTS, [True])] if is_asked else []
        text = _("%(attribute)s of %(other)r is saved as %(own)s")
        if added:
            text = _("%(attribute)s of %(other)r is saved as %(own)s, if %(key)s is there")
        shown = {"attribute": clause["attribute"], "other": way.other.name, "own": own}
        self._remark(text % {**shown, "key": way.key if added else ""}, number, place)
        if path == (KEY,) and way.other.has_integer_keys and op != EXISTS:
            if op != "in":
                raise NoWay(_("its keys are numbers here, of which only “in” can be asked"))
            if isinstance(clause.get("values"), list):
                written["values"] = self._keys(way, clause["values"], "", number, place)
        return written, added

    def _on_kinds(self, clause: Json, number: int, place: int) -> Json:
        """A condition on the names of kinds, of which each part of the context has one. Raises NoWay."""
        named = {**clause, "contextKind": self.kind.name}
        if self._is_named(clause, self.kind.name):
            return named
        found = [name for name in sorted(reached(self.kind)) if self._is_named(clause, name)]
        if not found:
            return named
        if len(found) > 1:
            raise NoWay(_("it is true of several: %s") % ", ".join(map(repr, found)))
        key = way_to(self.kind, found[0]).key
        text = _("kind %(other)r is saved as “%(own)s is there”")
        self._remark(text % {"other": found[0], "own": key}, number, place)
        return self._clause_of(key, EXISTS, [True], negate=clause.get("negate"))

    def _is_named(self, clause: Json, kind: str) -> bool:
        op, values = clause.get("op"), clause.get("values")
        if op not in LAUNCHDARKLY or not isinstance(values, list):
            return False
        fitting = [value for value in values if not values_of(op, [value])[1]]
        return value_test(op, fitting)(kind)

    def _percentage(self, rule: Json, number: int) -> tuple[Json, list[Json]]:
        """What of the percentage changes, and what must hold beside it."""
        weight, other = rule.get("weight"), rule.get("rolloutContextKind") or USER
        named = rule if rule.get("bucketBy") else {**rule, "bucketBy": KEY}
        path = _path(named, "bucketBy", "rolloutContextKind")
        if weight is None or path is None or other == self.kind.name:
            return {}, []
        try:
            way = way_to(self.kind, other)
            if weight == 0 and type(weight) is int:
                # LaunchDarkly's bucket of who has no such row is before the first one.
                text = _(
                    "0 %% of %(other)r takes those who have none: saved as a condition on %(own)s"
                )
                self._remark(text % {"other": other, "own": way.key}, number)
                nobody = {"weight": None, "bucketBy": "", "rolloutContextKind": ""}
                return nobody, [self._clause_of(way.key, EXISTS, [True], negate=True)]
            own = attribute_reference((way.name_of(path[0]), *path[1:]))
        except NoWay as why:
            head = _("the percentage is of %(context_kind)r, and the segment on %(kind)r")
            self._refuse(head % {"context_kind": other, "kind": self.kind.name}, why, number)
            return {}, []
        text = _("the percentage by %(attribute)s of %(other)r is saved as one by %(own)s")
        self._remark(text % {"attribute": named["bucketBy"], "other": other, "own": own}, number)
        return {"bucketBy": own, "rolloutContextKind": self.kind.name}, []

    def _keys(
        self,
        way: Way,
        keys: Sequence[Any],
        head: str,
        rule: int | None = None,
        clause: int | None = None,
    ) -> list[Any]:
        """Keys of another kind as the values of the own attribute, without those that no row can have."""
        values, left_out = list[Any](), list[Any]()
        for key in keys:
            value = way.other.parse_key(key)
            (left_out if value is None else values).append(key if value is None else value)
        if left_out:
            text = _("keys that %(other)r cannot have are left out: %(keys)s")
            shown = {"keys": ", ".join(map(show, left_out)), "other": way.other.name}
            self._remark(head + text % shown, rule, clause)
        return values if way.other.has_integer_keys else list(map(str, values))

    def _clause_of(self, attribute: str, op: str, values: list[Any], **options: Any) -> Json:
        written = {"attribute": attribute, "op": op, "values": values, **options}
        return {**written, "contextKind": self.kind.name}

    def _remark(self, message: str, rule: int | None = None, clause: int | None = None) -> None:
        self.remarks.append(
            Problem(code="several_kinds", message=message, rule=rule, clause=clause)
        )

    def _refuse(
        self, head: str, why: NoWay, rule: int | None = None, clause: int | None = None
    ) -> None:
        self.problems.append(
            Problem(code="several_kinds", message=f"{head}: {why}", rule=rule, clause=clause)
        )


def _path(raw: Any, name: str, of_kind: str) -> tuple[str, ...] | None:
    """The path to an attribute; None for what the parser refuses."""
    attribute = raw.get(name) if isinstance(raw, dict) else None
    kind = raw.get(of_kind) or None if isinstance(raw, dict) else None
    if not isinstance(attribute, str) or not isinstance(kind, str | None):
        return None
    try:
        return attribute_path(attribute, kind)
    except ValueError:
        return None
