"""The bodies of OFREP, OpenFeature's Remote Evaluation Protocol 0.3: what is asked, and the answers.

    {"context": {"targetingKey": "8a2c…", "kind": "user", "basket": 3}}
    {"key": "new-checkout", "value": true, "reason": "TARGETING_MATCH", "variant": "0", "metadata": {…}}
    {"key": "new-checkout", "errorCode": "INVALID_CONTEXT", "errorDetails": "…"}

The subject is a row: what flags and segments test is read from the database. Further attributes may
add to it and never replace what the database decides, also where this row has no such value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from featureflags.contexts import attributes
from featureflags.contexts.results import Degradation, Evaluation
from featureflags.core.types import JSONValue

USER: Final = "user"
LONGEST_KEY: Final = 256
PUBLIC_REASONS: Final = frozenset({"kind", "errorKind", "inExperiment"})
"""What a browser may know of a reason. Rules and prerequisites name what is in the dashboard."""

_REASONS: Final[Mapping[str, str]] = {
    "OFF": "DISABLED",
    "PREREQUISITE_FAILED": "DISABLED",
    "TARGET_MATCH": "TARGETING_MATCH",
    "RULE_MATCH": "TARGETING_MATCH",
    "FALLTHROUGH": "STATIC",
    "FORCED": "STATIC",
    "OVERRIDE": "STATIC",
}
"""By the kind of LaunchDarkly's reason; every other kind is UNKNOWN."""


class ErrorCode(StrEnum):
    """OFREP's codes."""

    PARSE_ERROR = "PARSE_ERROR"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    GENERAL = "GENERAL"


class Failure(Exception):
    """An answer that is no evaluation."""

    def __init__(self, status: int, code: ErrorCode, details: str) -> None:
        super().__init__(details)
        self.status = status
        self.code = code
        self.details = details

    def body(self, flag: str | None = None) -> dict[str, JSONValue]:
        """With the flag's key where one flag was asked for."""
        named: dict[str, JSONValue] = {} if flag is None else {"key": flag}
        return {**named, "errorCode": self.code.value, "errorDetails": self.details}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whom a request is about."""

    key: str
    is_anonymous: bool
    """A visitor: no row is looked for."""
    extra: Mapping[str, Any]
    ignored: tuple[str, ...]
    """Names of attributes that are not used."""

    def metadata(self) -> dict[str, JSONValue]:
        return {"ignoredAttributes": ", ".join(self.ignored)} if self.ignored else {}


def read_asked(data: object, *, takes_attributes: bool) -> Asked:
    """The subject of a body. Raises Failure."""
    if not isinstance(data, dict):
        raise Failure(400, ErrorCode.PARSE_ERROR, "The body must be a JSON object.")
    context = data.get("context")
    if context is None:
        raise Failure(400, ErrorCode.TARGETING_KEY_MISSING, "There is no context.")
    if not isinstance(context, dict):
        raise Failure(400, ErrorCode.INVALID_CONTEXT, "The context must be a JSON object.")
    given = dict(context)
    key = _targeting_key(given.pop("targetingKey", None))
    kind = given.pop("kind", USER)
    if kind != USER:
        raise Failure(400, ErrorCode.INVALID_CONTEXT, "There is no such kind of context.")
    anonymous = given.pop("anonymous", False)
    if not isinstance(anonymous, bool):
        raise Failure(400, ErrorCode.INVALID_CONTEXT, "“anonymous” must be true or false.")
    extra = {name: value for name, value in given.items() if takes_attributes and is_free(name)}
    return Asked(
        key=key,
        is_anonymous=anonymous,
        extra=extra,
        ignored=tuple(sorted(given.keys() - extra.keys())),
    )


def _targeting_key(key: object) -> str:
    if key is None or key == "":
        raise Failure(400, ErrorCode.TARGETING_KEY_MISSING, "The context has no targetingKey.")
    if not isinstance(key, str) or len(key) > LONGEST_KEY:
        words = f"The targetingKey must be text of at most {LONGEST_KEY} characters."
        raise Failure(400, ErrorCode.INVALID_CONTEXT, words)
    if "@" in key:
        words = "The targetingKey is the key of a user and never an e-mail address."
        raise Failure(400, ErrorCode.INVALID_CONTEXT, words)
    return key


def is_free(name: str) -> bool:
    """True for an attribute that the database never decides, of this subject or of any other."""
    return (
        bool(name)
        and name != "key"
        and name not in attributes.RESERVED_NAMES
        and attributes.type_of(name) is None
        and not name.startswith(attributes.CUSTOM_PREFIX)
    )


def evaluated(found: Evaluation, *, is_public: bool) -> dict[str, JSONValue]:
    """The answer to one flag. Raises Failure. `is_public`: a browser may read it.

    Without a value (the flag is off and has no off variation) the caller's default holds.
    """
    _require_value(found)
    variation = found.variation
    answer: dict[str, JSONValue] = {
        "key": found.flag,
        "reason": _reason(found.reason),
        "variant": "default" if variation is None else str(variation),
        "metadata": _metadata(found, is_public=is_public),
    }
    if found.value is not None:
        answer["value"] = found.value
    return answer


def _require_value(found: Evaluation) -> None:
    degraded = set(found.degraded)
    kind = str(found.reason.get("errorKind", ""))
    if Degradation.FLAG_NOT_FOUND in degraded:
        raise Failure(404, ErrorCode.FLAG_NOT_FOUND, "There is no such flag.")
    if Degradation.LAUNCHDARKLY_UNAVAILABLE in degraded:
        raise Failure(500, ErrorCode.GENERAL, "LaunchDarkly has not sent any flags yet.")
    if kind == "MALFORMED_FLAG":
        raise Failure(400, ErrorCode.PARSE_ERROR, "The flag is malformed.")
    if kind == "USER_NOT_SPECIFIED":
        raise Failure(400, ErrorCode.INVALID_CONTEXT, "The context cannot be evaluated.")
    if Degradation.EVALUATION_FAILED in degraded:
        raise Failure(500, ErrorCode.GENERAL, "The flag could not be evaluated.")
    if Degradation.WRONG_TYPE in degraded:
        words = "The flag's value does not have the type that it is declared with."
        raise Failure(400, ErrorCode.GENERAL, words)


def _reason(reason: Mapping[str, Any]) -> str:
    return "SPLIT" if reason.get("inExperiment") else _REASONS.get(str(reason["kind"]), "UNKNOWN")


def _metadata(found: Evaluation, *, is_public: bool) -> dict[str, JSONValue]:
    """Scalars alone: OpenFeature's clients drop anything else."""
    shown: dict[str, JSONValue] = {
        ("reasonKind" if name == "kind" else name): value
        for name, value in found.reason.items()
        if isinstance(value, bool | int | float | str) and (not is_public or name in PUBLIC_REASONS)
    }
    shown["source"] = found.source.value
    if found.degraded:
        shown["degraded"] = ", ".join(found.degraded)
    return shown
