"""Announces what nobody writes here: flags whose targeting changed in LaunchDarkly, and outages.

The schedule calls `observe` once a minute. It compares what this process sees with what was seen last, in
one row for each subject, under its lock: of several processes one announces a change. While no webhook
is active, and no e-mail is on, nothing is compared, and the first look after that only remembers.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from featureflags.core.conf import app_settings
from featureflags.core.types import JSONValue
from featureflags.inspection.flag_parsing import RawData
from featureflags.inspection.flags_using_segment import uses_by_flag
from featureflags.models import EventType, MailNotice, ObservedState, Webhook

TARGETING: Final = (
    *("on", "prerequisites", "targets", "contextTargets", "rules", "fallthrough", "offVariation"),
)
"""The parts of a flag that decide who is served what."""
FLAGS: Final = "flags"
SERVICE: Final = "service"
SILENCE: Final = datetime.timedelta(minutes=5)
"""Between two looks. If it was longer, no process could look: the database or the workers were down."""
UNOBSERVED: Final = "observation"

State = Mapping[str, Any]


def observe(*, flags: RawData | None, problems: Mapping[str, str]) -> int:
    """Announce what is different; how many announcements. `flags` as LaunchDarkly sent them, None
    if there are none; `problems`: what fails now, by the name of the part."""
    if not (app_settings().mail_notices or Webhook.objects.filter(is_active=True).exists()):
        ObservedState.objects.all().delete()
        return 0
    announced = _compare(SERVICE, {"problems": dict(problems)}, _service_changed)
    if flags is not None:
        announced += _compare(FLAGS, targeting_of(flags), _targets_changed)
    return announced


def targeting_of(data: RawData) -> dict[str, JSONValue]:
    """For each flag a hash of each part of its targeting, and the segments of ours that it uses."""
    uses = uses_by_flag(data)
    return {
        key: {
            "parts": {name: _hash(raw.get(name)) for name in TARGETING},
            "segments": [*sorted({use.segment for use in uses.get(key, ())})],
        }
        for key, raw in data.get("flags", {}).items()
    }


def _compare(
    name: str,
    value: dict[str, JSONValue],
    announce: Callable[[State, State, datetime.datetime], int],
) -> int:
    now = timezone.now()
    with transaction.atomic():
        first = {"value": value, "looked_at": now}
        row, is_new = ObservedState.objects.select_for_update().get_or_create(
            name=name, defaults=first
        )
        if is_new:
            return 0
        announced = announce(row.value, value, row.looked_at)
        row.value, row.looked_at = value, now
        row.save()
    return announced


def _targets_changed(before: State, now: State, _looked_at: datetime.datetime) -> int:
    changed = [
        _target_change(key, before.get(key), now.get(key))
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    announced = Webhook.objects.announce(EventType.FLAG_TARGETS_CHANGED, changed)
    for event, first, second in (
        (EventType.SEGMENT_USED, now, before),
        (EventType.SEGMENT_UNUSED, before, now),
    ):
        announced += _notify(event, _segments_more(first, second))
    return announced


def _segments_more(these: State, than: State) -> list[dict[str, JSONValue]]:
    """The segments that flags use in one state, and not in the other."""
    return [
        {"flag": flag, "segment": segment}
        for flag in sorted(these)
        for segment in these[flag]["segments"]
        if segment not in than.get(flag, {"segments": ()})["segments"]
    ]


def _notify(event: EventType, found: list[dict[str, JSONValue]]) -> int:
    """Webhooks, and the owners of the segments."""
    for data in found:
        MailNotice.objects.write_to_owner(event, str(data["segment"]), data)
    return Webhook.objects.announce(event, found)


def _target_change(flag: str, before: Any, now: Any) -> dict[str, JSONValue]:
    parts = [
        name
        for name in TARGETING
        if (before or {"parts": {}})["parts"].get(name) != (now or {"parts": {}})["parts"].get(name)
    ]
    return {
        "flag": flag,
        "change": "created" if before is None else "deleted" if now is None else "changed",
        "parts": list(parts),
        "segments_before": [] if before is None else before["segments"],
        "segments": [] if now is None else now["segments"],
    }


def _service_changed(before: State, now: State, looked_at: datetime.datetime) -> int:
    """A part that fails is announced once, and once when it works again."""
    then, problems = dict(before["problems"]), now["problems"]
    began: list[dict[str, JSONValue]] = []
    if timezone.now() - looked_at > SILENCE:
        since = looked_at.isoformat(timespec="seconds")
        then[UNOBSERVED] = f"Nothing could be observed since {since}."
        began.append({"part": UNOBSERVED, "problem": then[UNOBSERVED]})
    began += [
        {"part": part, "problem": problem}
        for part, problem in sorted(problems.items())
        if part not in then
    ]
    ended: list[dict[str, JSONValue]] = [
        {"part": part} for part in sorted(then) if part not in problems
    ]
    announced = Webhook.objects.announce(EventType.DEGRADED, began)
    return announced + Webhook.objects.announce(EventType.HEALED, ended)


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]
