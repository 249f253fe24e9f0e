"""The facade: every surface asks for flags here, and nowhere else.

In: a flag, a user and a default. `user` is a `User`, the key of a user, or None. With `request=` it is
the user of the request, or a visitor with a stable key of their own; `anonymous_key=` names a visitor
without a request. Extra `attributes` go to LaunchDarkly, for that call alone: segments never see them.

    is_enabled("new-checkout", request.user)
    variation("checkout-colour", user_id, default="blue")      a str
    variation(ACCENT, user)                                    a str, for ACCENT: Flag[str]
    variation_detail("new-checkout", user).degraded          all_flags(request=request)

Out: a value, or an `Evaluation`: the value with its reason and what failed on the way. The value has
the type of the default: another type gives the default, degraded by `wrong_type`.

>>> from featureflags.contexts.results import ContextSource, Degradation
>>> answer = Evaluation(
...     flag="checkout-colour", value="blue", source=ContextSource.CACHE,
...     reason={"kind": "ERROR", "errorKind": "FLAG_NOT_FOUND"}, degraded=(Degradation.FLAG_NOT_FOUND,),
... )
>>> answer.to_dict()["source"], answer.to_dict()["degraded"]
('cache', ['flag_not_found'])

Precedence: `override_flag`, `FORCE_FLAG_<NAME>`, LaunchDarkly, the default. Nothing here raises
when the database, the cache or LaunchDarkly fails: the answer has the reasons in `degraded`, and a
`strict` call raises `FlagUnavailable`. Mistakes in a call raise TypeError, or ValueError for an
empty key and for an e-mail address as a key. Each function has an async twin, `a…`, that keeps the
database off the event loop.
"""

from __future__ import annotations

from typing import overload

from django.http import HttpRequest
from typing_extensions import Unpack

from featureflags.contexts.building import event_data
from featureflags.contexts.results import Evaluation, FlagUnavailable
from featureflags.contexts.sendable import InvalidAttribute
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.types import JSONValue
from featureflags.evaluation.arguments import (
    UNSET,
    ExtraAttributes,
    FlagKey,
    Options,
    StrictOptions,
    Subject,
    Unset,
)
from featureflags.evaluation.awaited import aresolve
from featureflags.evaluation.evaluate import checked, evaluate_all, evaluate_boolean, evaluate_one
from featureflags.evaluation.resolve import look_up, make, resolve
from featureflags.flags.declared import Flag
from featureflags.flags.overrides import override_flag
from featureflags.flags.value_types import JSONDefault, ScalarT
from featureflags.launchdarkly import evaluator
from featureflags.launchdarkly.client import looking

__all__ = [
    "UNSET",
    "Evaluation",
    "FlagUnavailable",
    "InvalidAttribute",
    "aall_flags",
    "ais_enabled",
    "all_flags",
    "arguments",
    "atrack",
    "avariation",
    "avariation_detail",
    "evaluate",
    "is_enabled",
    "looking",
    "openfeature_terms",
    "override_flag",
    "previews",
    "reasons",
    "resolve",
    "subjects",
    "track",
    "variation",
    "variation_detail",
]


def is_enabled(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: bool | Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
    strict: bool = False,
) -> bool:
    """Whether a boolean flag is on.

    Raises FlagUnavailable if `strict` and the answer is degraded, InvalidAttribute as configured.
    """
    # Every later check of a unit takes this path, so as little as possible precedes the answer.
    found = look_up(user, request, anonymous_key)
    context = found if type(found) is SubjectContext else make(found)  # type: ignore[arg-type]  # the rest
    return evaluate_boolean(flag, context, default, attributes, strict)


@overload
def variation(
    flag: FlagKey, user: Subject = ..., *, default: ScalarT, **options: Unpack[StrictOptions]
) -> ScalarT: ...
@overload
def variation(
    flag: FlagKey, user: Subject = ..., *, default: JSONDefault, **options: Unpack[StrictOptions]
) -> JSONValue: ...
@overload
def variation(
    flag: Flag[ScalarT], user: Subject = ..., **options: Unpack[StrictOptions]
) -> ScalarT: ...
@overload
def variation(
    flag: FlagKey, user: Subject = ..., **options: Unpack[StrictOptions]
) -> JSONValue: ...
def variation(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: JSONDefault | Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
    strict: bool = False,
) -> JSONValue:
    """The value of a flag of any type."""
    context = resolve(user, request=request, anonymous_key=anonymous_key)
    return checked(evaluate_one(flag, context, default, attributes), strict=strict).value


@overload
def variation_detail(
    flag: FlagKey, user: Subject = ..., *, default: ScalarT, **options: Unpack[Options]
) -> Evaluation[ScalarT]: ...
@overload
def variation_detail(
    flag: FlagKey, user: Subject = ..., *, default: JSONDefault, **options: Unpack[Options]
) -> Evaluation: ...
@overload
def variation_detail(
    flag: Flag[ScalarT], user: Subject = ..., **options: Unpack[Options]
) -> Evaluation[ScalarT]: ...
@overload
def variation_detail(
    flag: FlagKey, user: Subject = ..., **options: Unpack[Options]
) -> Evaluation: ...
def variation_detail(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: JSONDefault | Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> Evaluation:
    """The value with LaunchDarkly's reason, and the reasons why it is degraded, if any."""
    context = resolve(user, request=request, anonymous_key=anonymous_key)
    return evaluate_one(flag, context, default, attributes)


def all_flags(
    user: Subject = None,
    *,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> dict[str, Evaluation]:
    """Every flag that LaunchDarkly has or that is declared, by key, sorted. Sends no events."""
    context = resolve(user, request=request, anonymous_key=anonymous_key)
    return evaluate_all(context, attributes)


def track(
    event: str,
    user: Subject = None,
    *,
    data: JSONValue = None,
    metric_value: float | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> None:
    """Send a custom event for this user to LaunchDarkly, for its experiments."""
    context = resolve(user, request=request, anonymous_key=anonymous_key)
    _track(event, context, data, metric_value)


async def ais_enabled(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: bool | Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
    strict: bool = False,
) -> bool:
    """As `is_enabled`."""
    context = await aresolve(user, request, anonymous_key)
    return evaluate_boolean(flag, context, default, attributes, strict)


@overload
async def avariation(
    flag: FlagKey, user: Subject = ..., *, default: ScalarT, **options: Unpack[StrictOptions]
) -> ScalarT: ...
@overload
async def avariation(
    flag: FlagKey, user: Subject = ..., *, default: JSONDefault, **options: Unpack[StrictOptions]
) -> JSONValue: ...
@overload
async def avariation(
    flag: Flag[ScalarT], user: Subject = ..., **options: Unpack[StrictOptions]
) -> ScalarT: ...
@overload
async def avariation(
    flag: FlagKey, user: Subject = ..., **options: Unpack[StrictOptions]
) -> JSONValue: ...
async def avariation(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: JSONDefault | Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
    strict: bool = False,
) -> JSONValue:
    """As `variation`."""
    context = await aresolve(user, request, anonymous_key)
    return checked(evaluate_one(flag, context, default, attributes), strict=strict).value


@overload
async def avariation_detail(
    flag: FlagKey, user: Subject = ..., *, default: ScalarT, **options: Unpack[Options]
) -> Evaluation[ScalarT]: ...
@overload
async def avariation_detail(
    flag: FlagKey, user: Subject = ..., *, default: JSONDefault, **options: Unpack[Options]
) -> Evaluation: ...
@overload
async def avariation_detail(
    flag: Flag[ScalarT], user: Subject = ..., **options: Unpack[Options]
) -> Evaluation[ScalarT]: ...
@overload
async def avariation_detail(
    flag: FlagKey, user: Subject = ..., **options: Unpack[Options]
) -> Evaluation: ...
async def avariation_detail(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: JSONDefault | Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> Evaluation:
    """As `variation_detail`."""
    context = await aresolve(user, request, anonymous_key)
    return evaluate_one(flag, context, default, attributes)


async def aall_flags(
    user: Subject = None,
    *,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> dict[str, Evaluation]:
    """As `all_flags`."""
    context = await aresolve(user, request, anonymous_key)
    return evaluate_all(context, attributes)


async def atrack(
    event: str,
    user: Subject = None,
    *,
    data: JSONValue = None,
    metric_value: float | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> None:
    """As `track`."""
    context = await aresolve(user, request, anonymous_key)
    _track(event, context, data, metric_value)


def _track(
    event: str, context: SubjectContext, data: JSONValue, metric_value: float | None
) -> None:
    sent, metric = event_data(data, metric_value)
    evaluator.track(str(event), context.context, sent, metric)
