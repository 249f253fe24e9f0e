"""OpenFeature inside a Django process: a provider that answers with the facade. Extra: `openfeature`.

    from openfeature import api
    from featureflags.openfeature import GuidonProvider, RequestContext

    api.set_provider(GuidonProvider())
    api.set_transaction_context_propagator(RequestContext())
    api.get_client().get_boolean_value("new-checkout", False)      of the user of the request

The targeting key is the key of a user, who is read as everywhere in Guidon. `anonymous: True` makes it
the key of a visitor. Without a targeting key the user of the current request is asked for. Further
attributes add to the user and never replace what the database decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypedDict, TypeVar

from django.http import HttpRequest
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import (
    ErrorCode,
    FlagNotFoundError,
    GeneralError,
    InvalidContextError,
    OpenFeatureError,
    ParseError,
    ProviderNotReadyError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails
from openfeature.transaction_context import TransactionContextPropagator

from featureflags.cache.unit_of_work import current_unit
from featureflags.evaluation import (
    Evaluation,
    InvalidAttribute,
    avariation_detail,
    resolve,
    track,
    variation_detail,
)
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
from featureflags.launchdarkly.client import client, has_flags
from featureflags.launchdarkly.listeners import Listener, add, remove

ValueT = TypeVar("ValueT")
Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]

_ERRORS: Mapping[Trouble, Callable[[str], OpenFeatureError]] = {
    Trouble.FLAG_NOT_FOUND: FlagNotFoundError,
    Trouble.PROVIDER_NOT_READY: ProviderNotReadyError,
    Trouble.PARSE_ERROR: ParseError,
    Trouble.INVALID_CONTEXT: InvalidContextError,
    Trouble.TYPE_MISMATCH: TypeMismatchError,
    Trouble.GENERAL: GeneralError,
}


class _Subject(TypedDict, total=False):
    """The arguments of the facade."""

    user: tuple[str, str]
    anonymous_key: str
    request: HttpRequest
    attributes: Mapping[str, object]


class GuidonProvider(AbstractProvider):
    """Flags of users, visitors and requests, sync and async. Raises OpenFeature's errors."""

    def __init__(self) -> None:
        super().__init__()
        self._listener = Listener(on_state=self._state_changed, on_flag=self._flag_changed)

    def get_metadata(self) -> Metadata:
        return Metadata(name="Guidon")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Wait for LaunchDarkly as the first check of a process does, and no longer."""
        add(self._listener, client())
        if not has_flags():
            raise ProviderNotReadyError(WORDS[Trouble.PROVIDER_NOT_READY])

    def shutdown(self) -> None:
        remove(self._listener)

    def _state_changed(self, state: str) -> None:
        if state == "VALID":
            self.emit_provider_ready(ProviderEventDetails())
        elif state == "INTERRUPTED":
            words = "LaunchDarkly cannot be reached: the last values are served."
            self.emit_provider_stale(ProviderEventDetails(message=words))
        elif state == "OFF":
            words = "LaunchDarkly's client has ended."
            details = ProviderEventDetails(message=words, error_code=ErrorCode.GENERAL)
            self.emit_provider_error(details)

    def _flag_changed(self, key: str) -> None:
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=[key]))

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return _ask(flag_key, default_value, evaluation_context)

    async def resolve_boolean_details_async(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return await _aask(flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        return _ask(flag_key, default_value, evaluation_context)

    async def resolve_string_details_async(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        return await _aask(flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        return _ask(flag_key, default_value, evaluation_context)

    async def resolve_integer_details_async(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        return await _aask(flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        return _ask(flag_key, float(default_value), evaluation_context)

    async def resolve_float_details_async(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        return await _aask(flag_key, float(default_value), evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Object,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Object]:
        return _as_object(_ask(flag_key, default_value, evaluation_context))

    async def resolve_object_details_async(
        self,
        flag_key: str,
        default_value: Object,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Object]:
        return _as_object(await _aask(flag_key, default_value, evaluation_context))

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """A custom event of LaunchDarkly. The event is about the user, without added attributes."""
        given = tracking_event_details or TrackingEventDetails()
        about: dict[str, Any] = {**_subject_of(evaluation_context)}
        del about["attributes"]
        data: Any = dict(given.attributes) if given.attributes else None
        track(tracking_event_name, data=data, metric_value=given.value, **about)


class RequestContext(TransactionContextPropagator):
    """The transaction context: the user or visitor of the current request, with what was set for it.

    Hooks see the same targeting key as the provider.
    """

    _set: ContextVar[EvaluationContext | None] = ContextVar(
        "featureflags_transaction", default=None
    )

    def get_transaction_context(self) -> EvaluationContext:
        request = _current_request()
        own = EvaluationContext()
        if request is not None:
            context = resolve(None, request=request).own.context
            attributes = {"anonymous": True} if context.anonymous else {}
            own = EvaluationContext(context.key, attributes)
        added = self._set.get()
        return own if added is None else own.merge(added)

    def set_transaction_context(self, transaction_context: EvaluationContext) -> None:
        self._set.set(transaction_context)


def _current_request() -> HttpRequest | None:
    unit = current_unit()
    return None if unit is None else unit.request


def _subject_of(context: EvaluationContext | None) -> _Subject:
    """Raises TargetingKeyMissingError, and InvalidContextError for a kind that there is not."""
    given: dict[str, Any] = {} if context is None else dict(context.attributes)
    key = None if context is None else context.targeting_key
    kind = given.pop("kind", USER)
    if not isinstance(kind, str) or kind_named(kind) is None:
        raise InvalidContextError("There is no such kind of context.")
    is_anonymous = given.pop("anonymous", False) is True
    attributes = {name: value for name, value in given.items() if is_free(name, kind)}
    if key and is_anonymous and kind == USER:
        return {"anonymous_key": key, "attributes": attributes}
    if key:
        return {"user": (kind, key), "attributes": attributes}
    request = _current_request()
    if request is None:
        raise TargetingKeyMissingError("There is no targeting key, and no request.")
    return {"request": request, "attributes": attributes}


def _ask(
    flag: str, default: ValueT, context: EvaluationContext | None
) -> FlagResolutionDetails[ValueT]:
    about: dict[str, Any] = {**_subject_of(context), "default": default}
    try:
        return _details(variation_detail(flag, **about))
    except (InvalidAttribute, ValueError) as error:
        raise InvalidContextError(str(error)) from error


async def _aask(
    flag: str, default: ValueT, context: EvaluationContext | None
) -> FlagResolutionDetails[ValueT]:
    about: dict[str, Any] = {**_subject_of(context), "default": default}
    try:
        return _details(await avariation_detail(flag, **about))
    except (InvalidAttribute, ValueError) as error:
        raise InvalidContextError(str(error)) from error


def _details(found: Evaluation[ValueT]) -> FlagResolutionDetails[ValueT]:
    """Raises OpenFeature's error where the value is only the default."""
    trouble = trouble_of(found)
    if trouble is not None:
        raise _ERRORS[trouble](WORDS[trouble])
    return FlagResolutionDetails(
        value=found.value,
        variant=variant_of(found),
        reason=Reason(reason_of(found)),
        flag_metadata=metadata_of(found),
    )


def _as_object(found: FlagResolutionDetails[Object]) -> FlagResolutionDetails[Object]:
    if isinstance(found.value, dict | list):
        return found
    raise TypeMismatchError(WORDS[Trouble.TYPE_MISMATCH])
