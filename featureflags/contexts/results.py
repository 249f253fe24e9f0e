"""What an evaluation answers: the value, and whether it was sure of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from featureflags.core.types import JSONValue


class ContextSource(StrEnum):
    """Where the user behind a context came from."""

    LOADED = "loaded"
    CACHE = "cache"
    DATABASE = "database"
    SPARE = "spare"
    """A snapshot past its time: the database did not answer."""
    BARE = "bare"
    """Nothing but the key is known."""
    VISITOR = "visitor"


class Degradation(StrEnum):
    """Why an answer is not what it would be if everything worked."""

    USER_UNAVAILABLE = "user_unavailable"
    """The database did not answer, and nothing was known but the user's key."""
    USER_STALE = "user_stale"
    """The database did not answer; the user's last known snapshot was used."""
    SEGMENTS_UNAVAILABLE = "segments_unavailable"
    """The segments could not be read, and none were known."""
    SEGMENTS_STALE = "segments_stale"
    """The segments could not be read; the last known ones were used."""
    SESSION_UNAVAILABLE = "session_unavailable"
    """The session could not be read: the visitor may have been a user."""
    ATTRIBUTE_DROPPED = "attribute_dropped"
    """An extra attribute was no JSON."""
    LAUNCHDARKLY_UNAVAILABLE = "launchdarkly_unavailable"
    """The SDK has no flags yet."""
    EVALUATION_FAILED = "evaluation_failed"
    """The SDK could not evaluate the flag: malformed, or an error of its own."""
    FLAG_NOT_FOUND = "flag_not_found"
    WRONG_TYPE = "wrong_type"
    """The flag's value is not of the type that was asked for."""


class FlagUnavailable(Exception):  # noqa: N818 - it reads as what happened
    """A strict call could not tell. `evaluation` holds the degraded answer."""

    def __init__(self, evaluation: Evaluation) -> None:
        why = ", ".join(evaluation.degraded)
        super().__init__(f"The flag {evaluation.flag!r} could not be told: {why}.")
        self.evaluation = evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The answer to one flag for one user."""

    flag: str
    value: JSONValue
    variation: int | None = None
    """The index of LaunchDarkly's variation; None for a default or a forced value."""
    reason: dict[str, Any]
    """LaunchDarkly's reason (`kind`, `ruleIndex`, `ruleId`, `errorKind`, …), or the kind
    OVERRIDE (`override_flag`) or FORCED (`FORCE_FLAG_…`)."""
    source: ContextSource
    degraded: tuple[Degradation, ...] = ()
    """Empty: this is the answer. Otherwise why it may not be."""

    def to_dict(self) -> dict[str, Any]:
        """The answer in JSON types, as commands and the API show it."""
        return {
            "flag": self.flag,
            "value": self.value,
            "variation": self.variation,
            "reason": self.reason,
            "source": self.source.value,
            "degraded": [reason.value for reason in self.degraded],
        }
