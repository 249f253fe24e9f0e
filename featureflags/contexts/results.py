"""The answer of an evaluation: the value, and why it may not be right."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic

from typing_extensions import TypeVar

from featureflags.core.types import JSONValue

ValueT_co = TypeVar("ValueT_co", covariant=True, default=JSONValue)


class ContextSource(StrEnum):
    """Where the user behind a context came from."""

    LOADED = "loaded"
    CACHE = "cache"
    DATABASE = "database"
    SPARE = "spare"
    """An expired snapshot from the cache: the database did not answer."""
    BARE = "bare"
    """A context with nothing but the user's key."""
    VISITOR = "visitor"


class Degradation(StrEnum):
    """Why an answer may differ from the one that LaunchDarkly would give if everything worked."""

    USER_UNAVAILABLE = "user_unavailable"
    """The database did not answer, and nothing was known but the user's key."""
    NO_SUCH_USER = "no_such_user"
    """The key belongs to no user: the answer is for a context with nothing but the key."""
    USER_UNREADABLE = "user_unreadable"
    """A field of the loaded user holds an expression, or a value that a save would refuse: the
    stored user was used."""
    USER_STALE = "user_stale"
    """The database did not answer; the user's last known snapshot was used."""
    SEGMENTS_UNAVAILABLE = "segments_unavailable"
    """The segments could not be read, and none were known."""
    SEGMENTS_STALE = "segments_stale"
    """The segments could not be read; the last known ones were used."""
    SESSION_UNAVAILABLE = "session_unavailable"
    """The session could not be read: the visitor may have been a user."""
    ATTRIBUTE_DROPPED = "attribute_dropped"
    """An attribute could not be sent to LaunchDarkly: not JSON, or too large."""
    LAUNCHDARKLY_UNAVAILABLE = "launchdarkly_unavailable"
    """The SDK has no flags yet."""
    EVALUATION_FAILED = "evaluation_failed"
    """The SDK could not evaluate the flag: malformed, or an error of its own."""
    FLAG_NOT_FOUND = "flag_not_found"
    WRONG_TYPE = "wrong_type"
    """The flag's value does not have the type of the default."""


class FlagUnavailable(Exception):
    """A strict call got a degraded answer, which is in `evaluation`."""

    def __init__(self, evaluation: Evaluation) -> None:
        why = ", ".join(evaluation.degraded)
        super().__init__(f"The flag {evaluation.flag!r} could not be evaluated: {why}.")
        self.evaluation = evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Generic[ValueT_co]):
    """The answer to one flag for one user."""

    flag: str
    value: ValueT_co
    variation: int | None = None
    """The index of LaunchDarkly's variation; None for a default or a forced value."""
    reason: dict[str, Any]
    """LaunchDarkly's reason (`kind`, `ruleIndex`, `ruleId`, `errorKind`, …), or the kind
    OVERRIDE (`override_flag`) or FORCED (`FORCE_FLAG_…`)."""
    source: ContextSource
    degraded: tuple[Degradation, ...] = ()
    """Why the answer may be wrong. Empty: nothing failed."""

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
