"""The explanation of a flag as commands and the API show it: JSON types, and lines of text.

explain_flag("seat-planner", …)  →  traces(…)  →  {"on": true, "decided_by": 1, "rules": […], …}
                                 →  lines(…)   →  rule 1 matches and decides: serves true
                                                    + seats is more than 50: 70
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from featureflags.core.i18n import gettext
from featureflags.inspection.flag_explanation import ClauseTrace, FlagExplanation, RuleTrace
from featureflags.inspection.rollouts import Serving
from featureflags.segments.explanation_tree import MISSING
from featureflags.segments.formatting import plain

MARKS: Final = {True: "+", False: "-", None: "?"}


def traces(found: FlagExplanation) -> dict[str, Any]:
    """All of it in JSON types."""
    return {
        "on": found.on,
        "decided_by": found.decided_by,
        "agrees": found.agrees,
        "rules": [_rule(rule) for rule in found.rules],
        "segments": [
            {
                "key": segment.key,
                "verdict": segment.verdict,
                "decided_by": segment.decided_by,
                "rules": [_rule(rule) for rule in segment.rules],
            }
            for segment in found.segments.values()
        ],
        "prerequisites": [one.words for one in found.prerequisites],
        "fallthrough": found.fallthrough.words,
        "off": found.off.words,
    }


def _rule(rule: RuleTrace) -> dict[str, Any]:
    serving: Serving | None = rule.serving
    return {
        "number": rule.number,
        "description": rule.description,
        "matched": rule.matched,
        "conditions": [_clause(clause) for clause in rule.clauses],
        "serves": None if serving is None else serving.words,
    }


def _clause(clause: ClauseTrace) -> dict[str, Any]:
    observed = {} if clause.observed is MISSING else {"observed": plain(clause.observed)}
    return {
        "number": clause.number,
        "condition": clause.words,
        "held": clause.held,
        "why": clause.why,
        "segments": list(clause.segments),
        **observed,
    }


def lines(found: FlagExplanation) -> Iterator[str]:
    """The same for people: what is needed first, each rule, LaunchDarkly's segments, and what everybody gets."""
    for one in found.prerequisites:
        yield gettext("needs first %s") % one.words
    for rule in found.rules:
        yield from _rule_lines(rule, decides=rule.number == found.decided_by)
    for segment in found.segments.values():
        said = {"key": segment.key, "by": segment.decided_by}
        verdicts = {
            True: gettext("in LaunchDarkly's segment %(key)s: %(by)s"),
            False: gettext("not in LaunchDarkly's segment %(key)s: %(by)s"),
            None: gettext("LaunchDarkly's segment %(key)s cannot be judged here: %(by)s"),
        }
        yield verdicts[segment.verdict] % said
        for rule in segment.rules:
            yield from _rule_lines(rule, decides=False)
    yield gettext("the default rule serves %s") % _served(found.fallthrough)
    yield gettext("while it is off: %s") % found.off.words


def _rule_lines(rule: RuleTrace, *, decides: bool) -> Iterator[str]:
    verdicts = {
        True: gettext("matches"),
        False: gettext("does not match"),
        None: gettext("not known here"),
    }
    verdict = gettext("matches and decides") if decides else verdicts[rule.matched]
    name = gettext("rule %d") % rule.number
    name += f" ({rule.description})" if rule.description else ""
    served = "" if rule.serving is None else gettext(": serves %s") % _served(rule.serving)
    yield f"{name} {verdict}{served}"
    for clause in rule.clauses:
        yield f"  {MARKS[clause.held]} {clause.words}: {clause.why}"


def _served(serving: Serving) -> str:
    if serving.bucket is None:
        return serving.words
    said = {"words": serving.words, "kind": serving.bucket_kind, "place": serving.bucket * 100}
    if serving.bucket < 0:
        return gettext("%(words)s; there is no context of the kind %(kind)s") % said
    return gettext("%(words)s; the %(kind)s falls at %(place).3f %%") % said
