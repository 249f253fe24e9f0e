"""Answers in words, for people: why a flag has its value, and why it may not be right.

Words alone: nothing is parsed back. Every surface that explains an evaluation takes them here.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.contexts.results import ContextSource, Degradation, Evaluation

_KINDS: Mapping[str, Promise] = {
    "OFF": gettext_lazy("Targeting is off."),
    "FALLTHROUGH": gettext_lazy("No rule matched: the default rule."),
    "TARGET_MATCH": gettext_lazy("Targeted by key."),
    "OVERRIDE": gettext_lazy("Overridden by a test."),
    "FORCED": gettext_lazy("Forced by an environment variable."),
}
"""Reasons that are only a kind, without more fields; the first three are LaunchDarkly's."""

_SOURCES: Mapping[ContextSource, Promise] = {
    ContextSource.LOADED: gettext_lazy("The user was loaded already."),
    ContextSource.CACHE: gettext_lazy("The user came from the cache."),
    ContextSource.DATABASE: gettext_lazy("The user came from the database."),
    ContextSource.SPARE: gettext_lazy("The user is as they were last known."),
    ContextSource.BARE: gettext_lazy("Nothing is known but the user's key."),
    ContextSource.VISITOR: gettext_lazy("A visitor who is not logged in."),
}

_DEGRADATIONS: Mapping[Degradation, Promise] = {
    Degradation.USER_UNAVAILABLE: gettext_lazy(
        "The database did not answer, and nothing was known but the user's key."
    ),
    Degradation.NO_SUCH_USER: gettext_lazy(
        "No user has this key: only rules about the key itself can match."
    ),
    Degradation.USER_UNREADABLE: gettext_lazy(
        "A field of the loaded user has no value yet: the stored user was used."
    ),
    Degradation.USER_STALE: gettext_lazy(
        "The database did not answer; the user's last known data was used."
    ),
    Degradation.SEGMENTS_UNAVAILABLE: gettext_lazy(
        "The segments could not be read, and none were known."
    ),
    Degradation.SEGMENTS_STALE: gettext_lazy(
        "The segments could not be read; the last known ones were used."
    ),
    Degradation.SESSION_UNAVAILABLE: gettext_lazy(
        "The session could not be read: the visitor may have been a user."
    ),
    Degradation.ATTRIBUTE_DROPPED: gettext_lazy("An extra attribute was no JSON and was left out."),
    Degradation.LAUNCHDARKLY_UNAVAILABLE: gettext_lazy("LaunchDarkly has not sent any flags yet."),
    Degradation.EVALUATION_FAILED: gettext_lazy("LaunchDarkly could not evaluate the flag."),
    Degradation.FLAG_NOT_FOUND: gettext_lazy("LaunchDarkly has no flag of this key."),
    Degradation.WRONG_TYPE: gettext_lazy("The flag's value does not have the type of its default."),
}


def reason_in_words(evaluation: Evaluation) -> str:
    """Why this value was given: by LaunchDarkly, or by an override before it."""
    reason = evaluation.reason
    kind = str(reason.get("kind"))
    if kind in _KINDS:
        text = str(_KINDS[kind])
    elif kind == "RULE_MATCH":
        text = _rule(reason)
    elif kind == "PREREQUISITE_FAILED":
        text = _("It needs the flag “%s” first.") % reason.get("prerequisiteKey")
    elif kind == "ERROR":
        text = _("No answer (%s): the default.") % reason.get("errorKind")
    else:
        text = _("For the reason %s.") % kind
    return text + " " + _("Part of an experiment.") if reason.get("inExperiment") else text


def degradation_in_words(degradation: Degradation) -> str:
    """Why an answer may not be what it would be if everything worked."""
    return str(_DEGRADATIONS[degradation])


def source_in_words(source: ContextSource) -> str:
    """Where the user behind a context came from."""
    return str(_SOURCES[source])


def _rule(reason: Mapping[str, object]) -> str:
    index, name = reason.get("ruleIndex"), reason.get("ruleId")
    # LaunchDarkly counts from 0; its own pages, and people, from 1.
    number = index + 1 if isinstance(index, int) else index
    if name:
        return _("Rule %(number)s (%(name)s) matched.") % {"number": number, "name": name}
    return _("Rule %s matched.") % number
