"""Planned changes as the REST API shows them, and the fields of a write that make one."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from featureflags.api.examples import request_example, response_example
from featureflags.api.problem_serializers import (
    EffectsSerializer,
    FlagUseSerializer,
    PartSerializer,
    ReasonsField,
)
from featureflags.api.strict import (
    StrictBooleanField,
    StrictCharField,
    StrictDateTimeField,
    StrictSerializer,
)
from featureflags.models import HistoryEntry, PlannedChange
from featureflags.models.planned_changes import LONGEST_COMMENT

PLAN_FIELDS: Final = ("propose", "emergency", "due_at")
"""Of a write that is not made at once; see `featureflags.api.planning`."""


class PlanFieldsSerializer(StrictSerializer[Any]):
    """The fields of a write that is proposed, scheduled, or an emergency."""

    propose = StrictBooleanField(
        write_only=True,
        required=False,
        help_text="true: propose the change, for somebody else to approve. The answer is 202.",
    )
    emergency = StrictBooleanField(
        write_only=True,
        required=False,
        help_text=(
            "true: write without the approval that it needs. It takes a note and a permission of its own."
        ),
    )
    due_at = StrictDateTimeField(
        write_only=True,
        required=False,
        allow_null=True,
        help_text="Write it at this instant, and not now. The answer is 202.",
    )


class CommentSerializer(serializers.Serializer[Any]):
    """What somebody wrote about a proposal."""

    at = serializers.DateTimeField()
    who = serializers.CharField()
    text = serializers.CharField()


class ProposalNowSerializer(serializers.Serializer[Any]):
    """What the change would do now, to the segment as it is now."""

    changes = serializers.ListField(child=serializers.CharField(), help_text="In words.")
    needs_approval = serializers.BooleanField()
    reasons = ReasonsField()
    entering = PartSerializer()
    leaving = PartSerializer()
    flags_known = serializers.BooleanField()
    flags = FlagUseSerializer(many=True)
    effects = EffectsSerializer(allow_null=True)
    needs_key = serializers.BooleanField(help_text="true: only the segment's key confirms this.")
    confirm = serializers.CharField(
        allow_null=True,
        help_text="Send it to approve exactly this. null: only the segment's key confirms it.",
    )


PROPOSAL: Any = {
    "id": 7,
    "segment": "paying",
    "kind": "changed",
    "state": "proposed",
    "at": "2026-11-26T10:15:00Z",
    "who": "Ada",
    "via": "through the API",
    "note": "For the launch",
    "due_at": None,
    "needs_approval": True,
    "entering": 120,
    "leaving": 3,
    "at_least": False,
    "changes": ["Rule 1: changed condition: Role is any of “admin” → Role is any of “tester”"],
    "approved_by": "",
    "decided_at": None,
    "problem": "",
    "history_entry": None,
    "comments": [],
}


PROPOSED: Final = OpenApiExample(
    "Proposed", value=PROPOSAL, response_only=True, status_codes=["202"]
)


@extend_schema_serializer(
    examples=[
        OpenApiExample("Waiting for approval", value=PROPOSAL, response_only=True),
        PROPOSED,
    ]
)
class ProposalSerializer(serializers.Serializer[Any]):
    """A planned change of a segment."""

    id = serializers.IntegerField()
    segment = serializers.CharField(source="segment_key")
    kind = serializers.ChoiceField(choices=HistoryEntry.Kind.choices)
    state = serializers.ChoiceField(choices=PlannedChange.State.choices)
    at = serializers.DateTimeField(help_text="When it was planned.")
    who = serializers.CharField()
    via = serializers.CharField(source="source")
    note = serializers.CharField()
    due_at = serializers.DateTimeField(
        allow_null=True, help_text="null: as soon as it is approved."
    )
    needs_approval = serializers.BooleanField()
    entering = serializers.IntegerField(
        source="moved.entering", help_text="As it was proposed, approved or scheduled."
    )
    leaving = serializers.IntegerField(source="moved.leaving")
    at_least = serializers.BooleanField(source="moved.at_least")
    changes = serializers.ListField(child=serializers.CharField(), source="lines")
    approved_by = serializers.CharField(source="approver", help_text="Empty: nobody has.")
    decided_at = serializers.DateTimeField(allow_null=True)
    problem = serializers.CharField(help_text="Why it could not be made; else empty.")
    history_entry = serializers.IntegerField(
        source="entry", allow_null=True, help_text="The change in the history that it made."
    )
    comments = CommentSerializer(many=True)


@response_example(
    "Waiting for approval",
    {
        **PROPOSAL,
        "now": None,
        "not_possible": "The segment was deleted in the meantime.",
    },
)
class ProposalDetailSerializer(ProposalSerializer):
    """A planned change, and what it would do now."""

    now = ProposalNowSerializer(
        allow_null=True, help_text="null: it is decided, or it cannot be made."
    )
    not_possible = serializers.CharField(help_text="Why it cannot be made now; else empty.")


@request_example("A comment", {"text": "Why so many?"})
class CommentTextSerializer(StrictSerializer[Any]):
    """A comment."""

    text = StrictCharField(max_length=LONGEST_COMMENT)


@request_example("With a reason", {"text": "Too many"})
class RefusalSerializer(StrictSerializer[Any]):
    """Why it is refused."""

    text = StrictCharField(required=False, allow_blank=True, max_length=LONGEST_COMMENT, default="")
