"""Tells programs and people about planned changes: webhooks, and e-mails to those who follow a segment.

Neither holds an address or a name: users are keys. Hidden SQL: one query for the webhooks; where e-mail is on,
one for those who receive it.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet

from featureflags.core.conf import app_settings
from featureflags.core.times import to_microseconds, to_rfc3339
from featureflags.core.types import Account, JSONValue
from featureflags.kinds.registry import user_kind
from featureflags.models import EventType, MailNotice, PlannedChange, Webhook
from featureflags.models.planned_changes import owners


def announce_plan(
    event: EventType, plan: PlannedChange, *, reason: str = "", actor: Account | None = None
) -> None:
    """Call in the transaction of the step. `reason`: why it was refused. `actor`: who refused it."""
    data = _announced(plan, reason, actor)
    Webhook.objects.announce(event, [data])
    if app_settings().mail_notices:
        MailNotice.objects.write(event, data, _receivers(event, plan))


def _announced(plan: PlannedChange, reason: str, actor: Account | None) -> dict[str, JSONValue]:
    """Without the note and the problem, which may name people."""
    due = plan.due_at
    found: dict[str, JSONValue] = {
        "segment": plan.segment_key,
        "kind": plan.kind_of_segment,
        "proposal": plan.pk,
        "state": str(plan.state),
        "entering": plan.entering,
        "leaving": plan.leaving,
        "at_least": plan.at_least,
        "author": _key(plan.author),
        "approver": _key(plan.approver),
        "due_at": None if due is None else to_rfc3339(to_microseconds(due)),
    }
    if reason:
        found |= {"reason": reason, "refused_by": _key(actor)}
    return found


def _key(account: Account | None) -> str | None:
    return None if account is None else str(user_kind().key_of(account))


def _receivers(event: EventType, plan: PlannedChange) -> Iterable[Account]:
    """The owner of the segment; those who may approve a proposal, or who proposed what was decided."""
    found = {account.pk: account for account in owners(plan.segment_key)}
    if event == EventType.CHANGE_PROPOSED:
        found |= {account.pk: account for account in approvers() if account.pk != plan.author_id}
    elif plan.author is not None:
        found[plan.author.pk] = plan.author
    return found.values()


def approvers() -> QuerySet[Account]:
    """Staff who may approve changes: one query.

    As far as columns of Django's permissions say it. A project with permissions of its own names the owners of
    segments: they receive the same.
    """
    permission = Permission.objects.filter(
        content_type__app_label="featureflags", codename="approve_plannedchange"
    )
    users = user_kind().model._default_manager
    columns = {field.name: field.related_model for field in users.model._meta.get_fields()}
    holds = Q(is_superuser=True) if "is_superuser" in columns else Q()
    if columns.get("user_permissions") is Permission:
        holds |= Q(user_permissions__in=permission)
    if columns.get("groups") is Group:
        holds |= Q(groups__permissions__in=permission)
    staff = {name: True for name in ("is_active", "is_staff") if name in columns}
    return users.filter(holds, **staff).distinct() if holds else users.none()
