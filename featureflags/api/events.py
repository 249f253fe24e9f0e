"""What happened elsewhere: custom events for experiments, and flags that somebody was really shown.

    POST /api/v1/events/track/      {"events": [{"id": "5f0c…", "event": "bought", "value": 12.5}]}
    POST /api/v1/events/exposure/   {"events": [{"id": "77d1…", "flag": "new-checkout"}]}

A session and a visitor speak of themselves; a program with a key names the `subject` of each event. A
request is taken as a whole or refused as a whole. Each event has an id of the caller's own: within a day a
second one with the same id does nothing, so that what got no answer can be sent again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final

from django.core.cache import cache
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.authentication import (
    ApiKeyAuthentication,
    FlagsSessionAuthentication,
    service_key,
)
from featureflags.api.evaluate_bodies import LONGEST_KEY, SubjectField
from featureflags.api.examples import request_example, response_example
from featureflags.api.flags import AUTH
from featureflags.api.key_kinds import may_ask, require_kind
from featureflags.api.policy import ApiPolicy
from featureflags.api.requests import http_request, is_staff
from featureflags.api.serializers import AnyJSONField
from featureflags.api.strict import (
    StrictBooleanField,
    StrictCharField,
    StrictIntegerField,
    StrictSerializer,
)
from featureflags.contexts.building import event_data
from featureflags.contexts.json_limits import json_size
from featureflags.contexts.new_visitors import unproven
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.deadlines import Purpose
from featureflags.core.outages import RETRY_AFTER
from featureflags.evaluation import all_flags, looking
from featureflags.evaluation.evaluate import expose
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.snapshot import kind_and_key
from featureflags.launchdarkly.evaluator import track, variation_count
from featureflags.live.bootstrap import flags_for_browsers
from featureflags.models import Scope

MOST_EVENTS: Final = 50
MOST_BYTES: Final = 4096
"""Of the data of one event, as JSON."""
REMEMBERED_SECONDS: Final = 86_400
MOST_VARIATIONS: Final = 1_000
ID: Final = r"^[A-Za-z0-9_-]{8,64}$"


class Unsure(exceptions.APIException):
    """Nobody can say now whether an event is new."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The cache does not answer. Send the same events again in a moment."
    default_code = "unavailable"
    wait = int(RETRY_AFTER)
    """DRF's name for the seconds of `Retry-After`."""


class NumberField(serializers.FloatField):
    """A finite number. “3” and true are refused."""

    def to_internal_value(self, data: Any) -> float:
        if type(data) not in {int, float} or abs(data) > 1e300 or data != data:  # noqa: PLR0124 - NaN
            self.fail("invalid")
        return float(data)


class _EventSerializer(StrictSerializer[Any]):
    id = serializers.RegexField(
        ID, help_text="8 to 64 letters, digits, _ or -. The same event has the same id."
    )
    subject = SubjectField(
        required=False, help_text="The key of a user. Needed from a program, refused from others."
    )
    anonymous = StrictBooleanField(
        required=False, default=False, help_text="true: the subject is a visitor's key."
    )


class TrackedSerializer(_EventSerializer):
    """Something that somebody did."""

    event = StrictCharField(max_length=LONGEST_KEY, help_text="The key of LaunchDarkly's metric.")
    value = NumberField(required=False, allow_null=True, default=None)
    data = AnyJSONField(  # type: ignore[assignment]  # DRF collects the fields
        required=False, default=None, help_text=f"At most {MOST_BYTES} bytes. No personal data."
    )

    def validate_event(self, name: str) -> str:
        if not name.isprintable() or "@" in name:
            raise serializers.ValidationError("Send printable characters and no address.")
        return name

    def validate_data(self, data: Any) -> Any:
        if json_size(data) > MOST_BYTES:
            raise serializers.ValidationError(f"This is larger than {MOST_BYTES} bytes.")
        return data


class ExposedSerializer(_EventSerializer):
    """A flag that somebody was shown."""

    flag = StrictCharField(max_length=LONGEST_KEY)
    variation = StrictIntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=MOST_VARIATIONS,
        help_text=(
            "The number of the variation that was shown: `variation` of the answer, or OFREP's `variant`."
            " Without it: the one that the flag has now."
        ),
    )


def _many(example: dict[str, Any], child: serializers.Serializer[Any], name: str) -> Any:
    """The serializer of a request with some events."""

    @request_example("One event", {"events": [example]}, component_name=name)
    class Many(StrictSerializer[Any]):
        """Events, the first one first."""

        events = serializers.ListField(child=child, min_length=1, max_length=MOST_EVENTS)

    return Many


Tracked = _many(
    {"id": "5f0c3a52d8b1", "event": "bought", "value": 12.5}, TrackedSerializer(), "TrackedEvents"
)
Exposed = _many(
    {"id": "77d1c09e4f2a", "flag": "new-checkout"}, ExposedSerializer(), "ExposedEvents"
)


@response_example("One is new", {"accepted": 1, "duplicates": 0}, status_codes=["202"])
class TakenSerializer(serializers.Serializer[Any]):
    """What became of the events."""

    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField(help_text="Their ids were known.")


class _EventsView(ApiPolicy):
    purpose = Purpose.FLAG_CHECK
    needed_scope = Scope.EVALUATE
    authentication_classes = [ApiKeyAuthentication, FlagsSessionAuthentication]
    permission_classes = [AllowAny]

    def take(
        self,
        request: Request,
        events: list[Mapping[str, Any]],
        send: Callable[[Mapping[str, Any], SubjectContext], object],
    ) -> Response:
        """Send those that are new. `send` gets an event and whom it is about."""
        # All before the first id is kept: an event of which an id is kept must be sent.
        subjects = [find() for find in [_subject_of(request, event) for event in events]]
        caller, accepted = _caller(request), 0
        for event, subject in zip(events, subjects, strict=True):
            digest = hashlib.sha256(f"{caller}:{event['id']}".encode()).hexdigest()
            is_new: object = cache.add(f"event:{digest}", 1, REMEMBERED_SECONDS)
            if is_new is None:
                raise Unsure
            if is_new:
                send(event, subject)
                accepted += 1
        taken = {"accepted": accepted, "duplicates": len(events) - accepted}
        return Response(taken, status=status.HTTP_202_ACCEPTED)


class TrackView(_EventsView):
    """Custom events: LaunchDarkly's metrics count them."""

    @extend_schema(
        operation_id="events_track", auth=AUTH, request=Tracked, responses={202: TakenSerializer}
    )
    def post(self, request: Request) -> Response:
        events = Tracked.read(request.data)["events"]

        def send(event: Mapping[str, Any], subject: SubjectContext) -> None:
            sent = event_data(event["data"], event["value"])
            track(event["event"], subject.context, *sent)

        return self.take(request, events, send)


class ExposureView(_EventsView):
    """Flags that were shown: each counts as an evaluation, here and in LaunchDarkly's experiments.

    `variation` says which one was shown. If the flag has another one for the subject by now, the
    event names the one that was shown, and counts for no experiment.
    """

    @extend_schema(
        operation_id="events_exposure", auth=AUTH, request=Exposed, responses={202: TakenSerializer}
    )
    def post(self, request: Request) -> Response:
        events = Exposed.read(request.data)["events"]
        known = _visible_flags(request)
        for event in events:
            if (words := _wrong(event, known)) is not None:
                raise serializers.ValidationError({"events": [words]})

        def send(event: Mapping[str, Any], subject: SubjectContext) -> None:
            expose(event["flag"], subject, event["variation"])

        return self.take(request, events, send)


def _wrong(event: Mapping[str, Any], known: Collection[str]) -> str | None:
    """Why an exposure cannot be taken; None if it can."""
    flag, shown = event["flag"], event["variation"]
    if flag not in known:
        return f"There is no flag “{flag}” that you may ask for."
    if shown is not None and shown >= variation_count(flag):
        return f"The flag “{flag}” has no variation {shown}."
    return None


def _visible_flags(request: Request) -> set[str]:
    key = service_key(request)
    if is_staff(request) or (key is not None and not key.origins):
        with looking():
            return {flag for flag in all_flags() if may_ask(request, flag)}
    return {flag for flag in flags_for_browsers() if may_ask(request, flag)}


def _caller(request: Request) -> str:
    """Whose ids these are."""
    key = service_key(request)
    if key is not None:
        return f"key:{key.pk}"
    return f"context:{resolve(None, request=http_request(request)).own.context.key}"


def _subject_of(request: Request, event: Mapping[str, Any]) -> Callable[[], SubjectContext]:
    """What resolves whom an event is about. Raises ValidationError, and PermissionDenied for another kind."""
    subject, key = event.get("subject"), service_key(request)
    if key is None:
        if subject is not None or event["anonymous"]:
            raise serializers.ValidationError({"events": ["Send events about yourself only."]})
        return partial(resolve, None, request=http_request(request))
    if subject is None:
        raise serializers.ValidationError({"events": ["A program must name a subject."]})
    require_kind(request, kind_and_key(subject)[0])
    if event["anonymous"] and not isinstance(subject, str):
        raise serializers.ValidationError({"events": ["A visitor is a user."]})
    find = (
        partial(resolve, None, anonymous_key=subject)
        if event["anonymous"]
        else partial(resolve, subject)
    )
    # A key that is bound to origins is public: who made up the subject counts as nobody.
    return find if not key.origins else lambda: unproven(find())
