"""The admin: segments, members by name, history, flags, “why?”, a user's context, warm-ups, keys, webhooks.

What comes in is a request of a member of staff; what goes out is a page. A sub-room for each thing
that a person does there: `segments`, `members`, `history`, `rule_editor`, `flags`, `why`, `users`;
`shared` holds what they have in common. Pages parse, call and render; to change a segment they all
call the same function, which asks first where it must:

    write(request, change_to(segment), row=segment)  # may raise NeedsConfirmation

Django imports this package to register the classes below.
"""

from __future__ import annotations

from featureflags.admin.api_keys import ApiKeyAdmin
from featureflags.admin.members.model_admin import SegmentMemberAdmin
from featureflags.admin.segment_admin import SegmentAdmin
from featureflags.admin.warming import WarmRunAdmin
from featureflags.admin.webhooks import WebhookAdmin, WebhookDeliveryAdmin

__all__ = [
    "ApiKeyAdmin",
    "SegmentAdmin",
    "SegmentMemberAdmin",
    "WarmRunAdmin",
    "WebhookAdmin",
    "WebhookDeliveryAdmin",
]
