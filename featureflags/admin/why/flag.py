"""Why a row gets a value of a flag: the rules, the prerequisites and the segments of the flag."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _

from featureflags.admin.shared.formatting import bucket_in_words, observed_in_words
from featureflags.admin.shared.pages import Link, why_flag_page
from featureflags.admin.why.rows import ConditionRow, RuleRow, Section
from featureflags.admin.why.segment import segment_link
from featureflags.contexts.results import Evaluation
from featureflags.evaluation.reasons import reason_in_words
from featureflags.inspection.flag_explanation import (
    ClauseTrace,
    FlagExplanation,
    RuleTrace,
    SegmentTrace,
)
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.snapshot import USER
from featureflags.segments.definitions import SEGMENT_MATCH
from featureflags.segments.formatting import show

BEFORE_LAUNCHDARKLY = frozenset({"FORCED", "OVERRIDE"})
"""Kinds of reasons without an evaluation by LaunchDarkly."""
RULES_ASKED = frozenset({"RULE_MATCH", "FALLTHROUGH"})
"""Kinds of reasons after which LaunchDarkly checked the rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrerequisiteRow:
    """A flag that another one needs first."""

    flag: Link
    wanted: str
    actual: str
    held: bool
    note: str = ""


def reason_sentences(evaluation: Evaluation, explanation: FlagExplanation | None) -> list[str]:
    """Why the value is what it is, in sentences."""
    return [reason_in_words(evaluation), *_details(evaluation, explanation)]


def _details(evaluation: Evaluation, explanation: FlagExplanation | None) -> Iterator[str]:
    kind = evaluation.reason.get("kind")
    if kind in BEFORE_LAUNCHDARKLY:
        yield _("LaunchDarkly is not asked.")
    if explanation is None:
        if kind == "ERROR":
            yield _("Everybody gets the default: %s.") % show(evaluation.value)
        return
    if kind in {"OFF", "PREREQUISITE_FAILED"}:
        yield _("It serves its off value: %s.") % explanation.off.words
    elif kind == "FALLTHROUGH":
        yield _("The default rule serves %s.") % explanation.fallthrough.words
        yield bucket_in_words(explanation.fallthrough)
    elif kind == "RULE_MATCH" and explanation.has_changed:
        yield _("The flag has changed since: look again.")


def rule_rows(
    evaluation: Evaluation, explanation: FlagExplanation, ours: Collection[str]
) -> list[RuleRow]:
    """The flag's rules in their order: which of them were checked, and what each would serve.

    `ours`: the keys of our segments that the row, or what belongs to it, is in.
    """
    asked = _asked(evaluation, explanation)
    return [_flag_rule(rule, ours, asked=rule.number <= asked) for rule in explanation.rules]


def _asked(evaluation: Evaluation, explanation: FlagExplanation) -> int:
    """The last rule that LaunchDarkly checked."""
    if evaluation.reason.get("kind") not in RULES_ASKED:
        return 0
    return explanation.decided_by or len(explanation.rules)


def _flag_rule(rule: RuleTrace, ours: Collection[str], *, asked: bool) -> RuleRow:
    row = _rule(rule, ours)
    serves = ""
    if rule.serving is not None:
        serves = _("Serves %s.") % rule.serving.words
        serves = f"{serves} {bucket_in_words(rule.serving)}".strip()
    if not asked:
        row = replace(row, state="unasked", verdict=_("was not checked"))
    return replace(row, serves=serves)


def _rule(rule: RuleTrace, ours: Collection[str]) -> RuleRow:
    states = {True: "matched", False: "failed", None: "unknown"}
    verdicts = {True: _("matches"), False: _("does not match"), None: _("not known here")}
    serves = ""
    if rule.weight is not None and rule.bucket is not None:
        serves = _("For %(share)g %% of them; the place here is %(place).3f %%.") % {
            "share": rule.weight / 1000,
            "place": rule.bucket * 100,
        }
    return RuleRow(
        number=rule.number,
        description=rule.description,
        state=states[rule.matched],
        verdict=verdicts[rule.matched],
        conditions=tuple(_condition(clause, ours) for clause in rule.clauses),
        serves=serves,
    )


def _condition(clause: ClauseTrace, ours: Collection[str]) -> ConditionRow:
    if clause.clause.op == SEGMENT_MATCH:
        observed = clause.why[:1].upper() + clause.why[1:]
    elif clause.held is None or clause.is_hidden:
        observed = ""
    else:
        kind = clause.clause.context_kind or USER
        observed = observed_in_words(clause.clause.attribute, clause.observed, kind)
    return ConditionRow(
        words=clause.words,
        held=clause.held,
        observed=observed,
        note=clause.why if clause.held is None or clause.is_hidden else "",
        links=(
            *(
                Link(
                    text=_("LaunchDarkly's segment %s") % key, href=f"#{_launchdarkly_anchor(key)}"
                )
                for key in clause.launchdarkly_segments
            ),
            *(segment_link(key, is_in=key in ours) for key in clause.segments),
        ),
    )


def prerequisite_rows(
    explanation: FlagExplanation,
    kind: CompiledKind,
    key: str,
    evaluations: Mapping[str, Evaluation],
) -> list[PrerequisiteRow]:
    """What the flag needs first, and what the row of this kind and key gets there."""
    return [
        PrerequisiteRow(
            flag=Link(text=each.flag, href=why_flag_page(kind, each.flag, key)),
            wanted=each.wanted.words,
            actual=show(evaluation.value) if (evaluation := evaluations.get(each.flag)) else "",
            held=each.on
            and evaluation is not None
            and evaluation.variation == each.wanted.variation,
            note=_prerequisite_note(exists=each.exists, on=each.on),
        )
        for each in explanation.prerequisites
    ]


def _prerequisite_note(*, exists: bool, on: bool) -> str:
    if not exists:
        return _("LaunchDarkly has no such flag.")
    return "" if on else _("It is off: then the prerequisite fails, whatever it serves.")


def launchdarkly_sections(
    explanation: FlagExplanation, who: str, ours: Collection[str]
) -> list[Section]:
    """A section for each of LaunchDarkly's own segments that the rules use. `who`: the row's name."""
    return [
        Section(
            anchor=_launchdarkly_anchor(trace.key),
            title=_("LaunchDarkly's segment %s") % trace.key,
            verdict=trace.verdict,
            headline=_headline(trace, who),
            rules=tuple(_rule(rule, ours) for rule in trace.rules),
        )
        for trace in explanation.segments.values()
    ]


def _launchdarkly_anchor(key: str) -> str:
    return f"launchdarkly-segment-{key}"


def _headline(trace: SegmentTrace, who: str) -> str:
    said = {"user": who, "segment": trace.key}
    texts = {
        "unknown": _("LaunchDarkly has no segment “%(segment)s”: nobody is in it."),
        "unbounded": _(
            "“%(segment)s” is a big segment: its members are stored elsewhere, and not looked up here."
        ),
        "cycle": _(
            "“%(segment)s” leads back to itself, or is nested too deeply to be explained here."
        ),
        "included": _("%(user)s is in “%(segment)s”: included by key."),
        "excluded": _("%(user)s is not in “%(segment)s”: excluded by key."),
        "no rule": _("%(user)s is not in “%(segment)s”: no rule matches."),
    }
    if trace.decided_by in texts:
        return texts[trace.decided_by] % said
    said["number"] = trace.decided_by.removeprefix("rule ")
    if trace.verdict is None:
        return _("Whether %(user)s is in “%(segment)s” depends on rule %(number)s.") % said
    return _("%(user)s is in “%(segment)s”: rule %(number)s matches.") % said
