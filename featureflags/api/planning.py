"""Writes that are proposed or scheduled instead of being made: the answer is 202 with the proposal.

`propose` asks somebody else to approve it, `due_at` writes it later, and `emergency` writes it now without
the approval that it needs, for callers with a permission of their own.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from featureflags.api.exceptions import PlannedInstead
from featureflags.api.proposal_serializers import ProposalSerializer
from featureflags.editing import Approval, Examination, check_due, describe_plan, make_plan

BYPASS: Final = "featureflags.bypass_plannedchange"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a caller wants a change to be made."""

    propose: bool = False
    emergency: bool = False
    due_at: datetime.datetime | None = None


AT_ONCE: Final = Plan()


def plan_in(data: dict[str, Any]) -> Plan:
    """Take the fields out of validated data."""
    return Plan(
        propose=data.pop("propose", False),
        emergency=data.pop("emergency", False),
        due_at=data.pop("due_at", None),
    )


def approval_or_plan(
    request: Request,
    examined: Examination,
    *,
    source: str,
    note: str,
    plan: Plan,
    sees: frozenset[str],
) -> Approval | None:
    """The approval with which to write a change now. Raises PlannedInstead where it is not written."""
    check_due(plan.due_at)
    if examined.needs_approval and plan.emergency and plan.due_at is None:
        _require_emergency(request, note)
        return Approval(is_emergency=True)
    if not (plan.propose or plan.due_at is not None) or examined.change.is_nothing:
        return None
    actor = request.user
    made = make_plan(
        examined,
        author=actor if isinstance(actor, AbstractBaseUser) else None,
        source=source,
        note=note,
        due_at=plan.due_at,
    )
    raise PlannedInstead(ProposalSerializer(describe_plan(made, sees=sees)).data)


def _require_emergency(request: Request, note: str) -> None:
    if not request.user.has_perm(BYPASS):
        raise PermissionDenied(f"This takes the permission {BYPASS}.")
    if not note.strip():
        words = _("Write why this cannot wait for an approval.")
        raise serializers.ValidationError({"note": [words]})
