"""Tags of segments: words to find them by, in lower case, sorted, each once."""

from __future__ import annotations

import re
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MOST_TAGS: Final = 50
_TAG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
"""As LaunchDarkly's tags, in lower case: two that differ in case are one."""


def in_tag_form(tags: Any) -> list[str]:
    """Tags as they are stored. Raises ValidationError for what is not a list of tags, and for too many."""
    if not isinstance(tags, list | tuple) or not all(isinstance(tag, str) for tag in tags):
        raise ValidationError(_("Tags are a list of words."))
    found = sorted({tag.strip().lower() for tag in tags} - {""})
    wrong = [tag for tag in found if not _TAG.match(tag)]
    if wrong:
        text = _("A tag has letters, digits, dots, dashes and underscores, 64 at most: not “%s”.")
        raise ValidationError(text % wrong[0][:80])
    if len(found) > MOST_TAGS:
        raise ValidationError(_("A segment has at most %d tags.") % MOST_TAGS)
    return found
