"""Who stands for a planned change when it is made: its approver, else its author.

Weeks may lie in between: an account is deactivated or deleted, or loses the permission. Then the change is not
made, and waits for somebody's approval.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db.models import Q
from django.utils.translation import gettext as _

from featureflags.core.types import Account
from featureflags.editing.changes import permissions_for
from featureflags.editing.examining import Examination
from featureflags.editing.plans import wait_for_approval
from featureflags.models import PlannedChange

APPROVE: Final = "featureflags.approve_plannedchange"


def why_to_wait(plan: PlannedChange, examined: Examination, *, by_hand: bool) -> str:
    """Why a scheduled change must wait for an approval; empty: it need not.

    `by_hand`: somebody who may make the change asks for it now. One without an author is a command's.
    """
    approver, author = plan.approver, plan.author
    if approver is not None and may(approver, [APPROVE]):
        return ""
    if examined.needs_approval and approver is not None:
        return _("The person who approved it may no longer approve changes.")
    if examined.needs_approval:
        return _("It needs an approval now: a flag that is on uses the segment, or none are known.")
    if by_hand or author is None or may(author, permissions_for(examined.change)):
        return ""
    return _("The person who planned it may no longer make this change.")


def may(account: Account, permissions: Collection[str]) -> bool:
    """True if it is active, of the staff, and has these permissions now."""
    is_staff = account.is_active and getattr(account, "is_staff", True)
    return is_staff and bool(account.has_perms(permissions))


def hold_plans_of(account: Account) -> None:
    """Before an account is deleted: what it alone stands for waits for an approval."""
    alone = Q(author=account, approver=None) | Q(author=None, approver=account)
    for plan in PlannedChange.objects.filter(alone, state=PlannedChange.State.SCHEDULED):
        wait_for_approval(plan, _("The account that planned or approved it was deleted."))
