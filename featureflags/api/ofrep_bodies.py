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

from featureflags.contexts.results import Evaluation
from featureflags.core.types import JSONValue
from featureflags.evaluation.arguments import Named
from featureflags.evaluation.openfeature_terms import (
    WORDS,
    Trouble,
    is_free,
    metadata_of,
    reason_of,
    trouble_of,
    variant_of,
)
from featureflags.kinds.registry import USER, kind_named

LONGEST_KEY: Final = 256


class ErrorCode(StrEnum):
    """OFREP's codes."""

    PARSE_ERROR = "PARSE_ERROR"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    GENERAL = "GENERAL"


_FAILURES: Final[Mapping[Trouble, tuple[int, ErrorCode]]] = {
    Trouble.FLAG_NOT_FOUND: (404, ErrorCode.FLAG_NOT_FOUND),
    Trouble.PARSE_ERROR: (400, ErrorCode.PARSE_ERROR),
    Trouble.INVALID_CONTEXT: (400, ErrorCode.INVALID_CONTEXT),
    Trouble.PROVIDER_NOT_READY: (500, ErrorCode.GENERAL),
    Trouble.GENERAL: (500, ErrorCode.GENERAL),
}


class Failure(Exception):
    """An answer that is not an evaluation."""

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

    kind: str
    key: str
    is_anonymous: bool
    """A visitor: no row is looked for."""
    extra: Mapping[str, Any]
    ignored: tuple[str, ...]
    """Names of attributes that are not used."""

    @property
    def subject(self) -> Named:
        """For the facade."""
        return self.kind, self.key

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
    if not isinstance(kind, str) or kind_named(kind) is None:
        raise Failure(400, ErrorCode.INVALID_CONTEXT, "There is no such kind of context.")
    anonymous = given.pop("anonymous", False)
    if not isinstance(anonymous, bool):
        raise Failure(400, ErrorCode.INVALID_CONTEXT, "“anonymous” must be true or false.")
    if anonymous and kind != USER:
        raise Failure(
            400, ErrorCode.INVALID_CONTEXT, "Only a context of the kind user is anonymous."
        )
    extra = {
        name: value for name, value in given.items() if takes_attributes and is_free(name, kind)
    }
    return Asked(
        kind=kind,
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


def evaluated(
    found: Evaluation, *, is_public: bool, with_source: bool = True
) -> dict[str, JSONValue]:
    """The answer to one flag. Raises Failure. `is_public`: a browser may read it.

    Without a value (the flag is off and has no off variation) the caller's default holds.
    """
    trouble = trouble_of(found)
    if trouble is not None:
        status, code = _FAILURES.get(trouble, (400, ErrorCode.GENERAL))
        raise Failure(status, code, WORDS[trouble])
    answer: dict[str, JSONValue] = {
        "key": found.flag,
        "reason": reason_of(found),
        "variant": variant_of(found),
        "metadata": {**metadata_of(found, public_only=is_public, with_source=with_source)},
    }
    if found.value is not None:
        answer["value"] = found.value
    return answer
