"""From definitions to LaunchDarkly's segment JSON; the reverse of ``parsing``.

What LaunchDarkly lacks is refused by name unless the export is native, that is, for us alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence

from featureflags.core.i18n import gettext
from featureflags.core.types import JSONValue
from featureflags.segments.definitions import (
    SEGMENT_MATCH,
    USER_KIND,
    Clause,
    Problem,
    Rule,
    SegmentDefinition,
)
from featureflags.segments.member_json import FROM, format_expiry
from featureflags.segments.operator_labels import LAUNCHDARKLY


class NotExportable(ValueError):
    """LaunchDarkly has no form for this segment. ``problems`` lists every reason."""

    def __init__(self, segment_key: str, problems: Sequence[Problem]) -> None:
        reasons = "; ".join(str(problem) for problem in problems)
        super().__init__(
            gettext("%(segment_key)s cannot be exported to LaunchDarkly: %(reasons)s")
            % {"segment_key": segment_key, "reasons": reasons}
        )
        self.segment_key = segment_key
        self.problems = tuple(problems)


def dump_rules(rules: Iterable[Rule], context_kind: str | None = None) -> list[JSONValue]:
    """Rules as JSON. ``parse_rules`` gives back the same rules.

    With ``context_kind`` each condition and percentage names that kind, as LaunchDarkly needs for all
    but users.
    """
    return [_dump_rule(rule, context_kind) for rule in rules]


def _dump_rule(rule: Rule, context_kind: str | None) -> JSONValue:
    dumped: dict[str, JSONValue] = {"id": rule.id}
    if rule.description:
        dumped["description"] = rule.description
    dumped["clauses"] = [_dump_clause(clause, context_kind) for clause in rule.clauses]
    return dumped | _dump_rollout(rule, context_kind)


def _dump_rollout(rule: Rule, context_kind: str | None) -> dict[str, JSONValue]:
    """The percentage. Without a kind of its own LaunchDarkly takes it of users."""
    dumped: dict[str, JSONValue] = {} if rule.weight is None else {"weight": rule.weight}
    bucket_by = rule.bucket_by
    if rule.rollout_context_kind is not None:
        context_kind = rule.rollout_context_kind
    elif rule.weight is None:
        context_kind = None
    elif context_kind is not None:
        bucket_by = _as_path(bucket_by)
    if bucket_by:
        dumped["bucketBy"] = bucket_by
    if context_kind is not None:
        dumped["rolloutContextKind"] = context_kind
    return dumped


def _as_path(attribute: str) -> str:
    """A literal name where a path may be given."""
    if not attribute.startswith("/"):
        return attribute
    return "/" + attribute.replace("~", "~0").replace("/", "~1")


def _dump_clause(clause: Clause, context_kind: str | None) -> JSONValue:
    attribute = clause.attribute
    if clause.context_kind is not None or clause.op == SEGMENT_MATCH:
        context_kind = clause.context_kind
    elif context_kind is not None:
        attribute = _as_path(attribute)
    dumped: dict[str, JSONValue] = {
        "attribute": attribute,
        "op": clause.op,
        "values": copy.deepcopy(list(clause.values)),
        "negate": clause.negate,
    }
    if context_kind is not None:
        dumped["contextKind"] = context_kind
    if clause.ignore_case:
        dumped["ignoreCase"] = True
    if clause.or_missing:
        dumped["orMissing"] = True
    return dumped


def to_launchdarkly(definition: SegmentDefinition, *, native: bool = False) -> dict[str, JSONValue]:
    """A segment as LaunchDarkly's SDKs read it, from a file or a stream.

    With ``native`` our own parts (``kind``, ``exists``, members with an expiry) are written as well,
    for ``parse_definition`` alone. Raises NotExportable for what has no form, naming rule and
    condition.
    """
    problems = list(_not_exportable(definition, native=native))
    if problems:
        raise NotExportable(definition.key, problems)
    kind = None if definition.kind == USER_KIND else definition.kind
    included, excluded = _lasting(definition.included), _lasting(definition.excluded)
    dumped: dict[str, JSONValue] = {"key": definition.key, "version": definition.version}
    if kind is None or native:
        dumped |= {"included": included, "excluded": excluded}
    else:
        dumped |= {"included": [], "excluded": []}
        dumped["includedContexts"] = [{"contextKind": kind, "values": included}]
        dumped["excludedContexts"] = [{"contextKind": kind, "values": excluded}]
    if kind is not None and native:
        dumped["kind"] = kind
    dumped |= {"rules": dump_rules(definition.rules, None if native else kind)}
    dumped["salt"] = definition.salt
    for name, instants in (
        ("includedUntil", definition.included),
        ("excludedUntil", definition.excluded),
        (FROM, definition.begins),
    ):
        formatted = _instants(instants)
        if formatted:
            dumped[name] = formatted
    return dumped


def _lasting(members: Mapping[str, int | None]) -> list[JSONValue]:
    return [*sorted(key for key, until in members.items() if until is None)]


def _instants(members: Mapping[str, int] | Mapping[str, int | None]) -> dict[str, JSONValue]:
    return {key: format_expiry(at) for key, at in sorted(members.items()) if at is not None}


def _not_exportable(definition: SegmentDefinition, *, native: bool) -> Iterator[Problem]:
    for number, rule in enumerate(definition.rules, start=1):
        if not rule.clauses:
            message = gettext(
                "it has no condition: here it matches nobody, in LaunchDarkly everybody"
            )
            yield Problem(code="rule_empty", message=message, rule=number)
        for position, clause in enumerate(rule.clauses, start=1):
            for code, message in () if native else _our_own(clause):
                yield Problem(code=code, message=message, rule=number, clause=position)
    if native:
        return
    for members in (definition.included, definition.excluded):
        for key, until in members.items():
            if until is not None:
                message = gettext(
                    "the membership of %(key)r expires, which LaunchDarkly cannot express"
                ) % {"key": key}
                yield Problem(code="expires", message=message)
    for key in definition.begins:
        message = gettext(
            "the membership of %(key)r begins at an instant, as LaunchDarkly's cannot"
        )
        yield Problem(code="begins", message=message % {"key": key})


def _our_own(clause: Clause) -> Iterator[tuple[str, str]]:
    """What LaunchDarkly lacks of a clause: a code, and words."""
    if clause.op not in LAUNCHDARKLY and clause.op != SEGMENT_MATCH:
        yield clause.op, gettext("LaunchDarkly has no operator %(op)r") % {"op": clause.op}
    if clause.ignore_case:
        yield "ignore_case", gettext("LaunchDarkly cannot ignore case")
    if clause.or_missing:
        yield "or_missing", gettext("LaunchDarkly matches nobody whose attribute is missing")
