"""An evaluation in OpenFeature's words, for OFREP and for the provider.

>>> from featureflags.contexts.results import ContextSource
>>> found = Evaluation(
...     flag="new-checkout", value=True, variation=0, source=ContextSource.CACHE,
...     reason={"kind": "RULE_MATCH", "ruleIndex": 0, "ruleId": "staff"},
... )
>>> reason_of(found), variant_of(found), trouble_of(found)
('TARGETING_MATCH', '0', None)
>>> metadata_of(found)
{'reasonKind': 'RULE_MATCH', 'ruleIndex': 0, 'ruleId': 'staff', 'source': 'cache'}
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from featureflags.contexts import attributes
from featureflags.contexts.results import Degradation, Evaluation
from featureflags.kinds.snapshot import USER

PUBLIC_REASONS: Final = frozenset({"kind", "errorKind", "inExperiment"})
"""What anybody may know of a reason. Rules and prerequisites name what is in the dashboard."""

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


class Trouble(StrEnum):
    """OpenFeature's error codes, as far as an evaluation can have one."""

    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    PROVIDER_NOT_READY = "PROVIDER_NOT_READY"
    PARSE_ERROR = "PARSE_ERROR"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    GENERAL = "GENERAL"


WORDS: Final[Mapping[Trouble, str]] = {
    Trouble.FLAG_NOT_FOUND: "There is no such flag.",
    Trouble.PROVIDER_NOT_READY: "LaunchDarkly has not sent any flags yet.",
    Trouble.PARSE_ERROR: "The flag is malformed.",
    Trouble.INVALID_CONTEXT: "The context cannot be evaluated.",
    Trouble.TYPE_MISMATCH: "The flag's value does not have the type that is expected.",
    Trouble.GENERAL: "The flag could not be evaluated.",
}

_BY_ERROR: Final[Mapping[str, Trouble]] = {
    "MALFORMED_FLAG": Trouble.PARSE_ERROR,
    "USER_NOT_SPECIFIED": Trouble.INVALID_CONTEXT,
}
_BY_DEGRADATION: Final[Mapping[Degradation, Trouble]] = {
    Degradation.FLAG_NOT_FOUND: Trouble.FLAG_NOT_FOUND,
    Degradation.LAUNCHDARKLY_UNAVAILABLE: Trouble.PROVIDER_NOT_READY,
    Degradation.WRONG_TYPE: Trouble.TYPE_MISMATCH,
    Degradation.EVALUATION_FAILED: Trouble.GENERAL,
}


def trouble_of(found: Evaluation[object]) -> Trouble | None:
    """Why the value is a default. None: it is LaunchDarkly's."""
    by_error = _BY_ERROR.get(str(found.reason.get("errorKind")))
    if by_error is not None:
        return by_error
    known = (_BY_DEGRADATION[each] for each in found.degraded if each in _BY_DEGRADATION)
    return next(known, None)


def reason_of(found: Evaluation[object]) -> str:
    """STATIC, TARGETING_MATCH, SPLIT, DISABLED or UNKNOWN."""
    reason = found.reason
    return "SPLIT" if reason.get("inExperiment") else _REASONS.get(str(reason["kind"]), "UNKNOWN")


def variant_of(found: Evaluation[object]) -> str:
    """The number of LaunchDarkly's variation; `default` for a default and a forced value."""
    return "default" if found.variation is None else str(found.variation)


def metadata_of(
    found: Evaluation[object], *, public_only: bool = False, with_source: bool = True
) -> dict[str, bool | int | float | str]:
    """LaunchDarkly's own reason and what failed. Scalars alone: clients drop anything else."""
    shown: dict[str, bool | int | float | str] = {
        ("reasonKind" if name == "kind" else name): value
        for name, value in found.reason.items()
        if isinstance(value, bool | int | float | str)
        and (not public_only or name in PUBLIC_REASONS)
    }
    if with_source:
        shown["source"] = found.source.value
    if found.degraded:
        shown["degraded"] = ", ".join(found.degraded)
    return shown


def is_free(name: str, kind: str = USER) -> bool:
    """True for an attribute that the database never decides, of this subject or of any other.

    A caller may add it; every other name is one that rules trust.
    """
    return (
        bool(name)
        and name != "key"
        and name not in attributes.RESERVED_NAMES
        and attributes.type_of(name, kind) is None
        and not name.startswith(attributes.CUSTOM_PREFIX)
    )
