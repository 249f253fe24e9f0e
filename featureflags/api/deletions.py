"""What a deletion is sent: the fields of any write, in the body or as parameters. Nothing else is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request

from featureflags.api.concurrency import LONGEST_NOTE, ConfirmField, How, how_in
from featureflags.api.proposal_serializers import PlanFieldsSerializer
from featureflags.api.strict import StrictCharField, StrictIntegerField


class DeletionSerializer(PlanFieldsSerializer):
    """The body of a deletion. Each field may be a parameter instead."""

    note = StrictCharField(required=False, allow_blank=True, max_length=LONGEST_NOTE)
    confirm = ConfirmField()


class SegmentDeletionSerializer(DeletionSerializer):
    """With the version that was read."""

    version = StrictIntegerField(required=False, min_value=1)


def how_of_deletion(request: Request, *, takes_version: bool = False) -> How:
    """The fields of a deletion: in the body, or as parameters. Raises ValidationError."""
    given: dict[str, Any] = dict(request.query_params.items())
    for name in given.keys() - {"note", "due_at"}:
        given[name] = {"true": True, "false": False}.get(given[name], given[name])
    body = {**given, **request.data} if isinstance(request.data, Mapping) else request.data
    data = (SegmentDeletionSerializer if takes_version else DeletionSerializer).read(body)
    data.pop("version", None)
    return how_in(data)
