"""One sentence for each notification: for receivers that people read, and for e-mail.

>>> sentence("segment.used", {"flag": "new-checkout", "segment": "beta"})
'The flag new-checkout begins to use the segment beta.'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.kinds.nouns import noun
from featureflags.kinds.registry import USER

_TEXTS: Final[Mapping[str, Any]] = {
    "segment.changed": gettext_lazy("The segment %(segment)s was %(change)s: %(numbers)s."),
    "segment.size_jumped": gettext_lazy(
        "The segment %(segment)s went from %(before)s to %(now)s %(rows)s."
    ),
    "segment.used": gettext_lazy("The flag %(flag)s begins to use the segment %(segment)s."),
    "segment.unused": gettext_lazy("The flag %(flag)s no longer uses the segment %(segment)s."),
    "flag.targets_changed": gettext_lazy("The targeting of the flag %(flag)s was %(change)s."),
    "change.proposed": gettext_lazy(
        "A change of the segment %(segment)s waits for approval: %(numbers)s. Proposal %(proposal)s."
    ),
    "change.approved": gettext_lazy(
        "A change of the segment %(segment)s was approved: %(numbers)s. Proposal %(proposal)s."
    ),
    "change.refused": gettext_lazy(
        "A change of the segment %(segment)s was refused: %(why)s. Proposal %(proposal)s."
    ),
    "change.scheduled": gettext_lazy(
        "A change of the segment %(segment)s is scheduled for %(due_at)s: %(numbers)s."
        " Proposal %(proposal)s."
    ),
    "change.applied": gettext_lazy(
        "A planned change of the segment %(segment)s was applied: %(numbers)s. Proposal %(proposal)s."
    ),
    "service.degraded": gettext_lazy("%(part)s: %(problem)s"),
    "service.healed": gettext_lazy("%(part)s works again."),
    "webhook.test": gettext_lazy("This is a test of the webhook %(webhook)s."),
}
_REASONS: Final[Mapping[str, Any]] = {
    "person": gettext_lazy("somebody refused it"),
    "numbers": gettext_lazy("when it was due, more would have moved than were approved"),
    "conflict": gettext_lazy("something else was changed in the meantime"),
    "invalid": gettext_lazy("it is not valid any more"),
}


def sentence(event: str, data: Mapping[str, Any]) -> str:
    """What happened. `data` as the body of a webhook has it."""
    why = _REASONS.get(str(data.get("reason")), "")
    shown = {"numbers": _numbers(data), "rows": _rows(data), "why": why, **data}
    for name in ("before", "now"):
        if isinstance(data.get(name), Mapping):
            shown[name] = f"{data[name]['at_least']:,}"
    text = str(_TEXTS[event] % shown)
    return f"{_('Emergency, without approval')}: {text}" if data.get("is_emergency") else text


def _rows(data: Mapping[str, Any]) -> str:
    """What moves. A notice of a release before this one names no kind."""
    return noun(str(data.get("kind", USER)))


def _numbers(data: Mapping[str, Any]) -> str:
    entering, leaving = data.get("entering"), data.get("leaving")
    if entering is None or leaving is None:
        return _("not counted")
    text = _("+%(entering)s, \u2212%(leaving)s %(rows)s")
    text %= {"entering": f"{entering:,}", "leaving": f"{leaving:,}", "rows": _rows(data)}
    return _("at least %s") % text if data.get("at_least") else text
