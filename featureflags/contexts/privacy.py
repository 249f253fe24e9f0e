"""Which attributes are sent to LaunchDarkly, and which of them events must not contain.

The catalogue declares each attribute public, private or withheld. The setting
`LAUNCHDARKLY_ATTRIBUTES` narrows that: it lists the names that may be sent, and `*` means all that
the catalogue allows. Segments always see everything.

Metadata is not in the catalogue. `custom_<key>` is withheld unless that list names it: no rule could
tell a phone number or a street from a plan. `manage.py check_flags` and the user's page name what is
withheld though a flag's rule asks for it.
"""

from __future__ import annotations

from collections import defaultdict
from difflib import get_close_matches
from functools import cache
from typing import Final

from django.core.signals import setting_changed

from featureflags.contexts.attributes import (
    CUSTOM_PREFIX,
    SEGMENT_NAMES,
    Privacy,
    catalogue,
    private_names,
)
from featureflags.core.conf import app_settings
from featureflags.kinds.registry import kinds
from featureflags.kinds.snapshot import USER

EVERYTHING: Final = "*"
IDENTITY: Final = frozenset({"kind", "key", "anonymous"})
"""Every context has these."""

_NAMES_KEPT: Final = 4096
decided: defaultdict[str, dict[str, Privacy]] = defaultdict(dict)
"""The decisions of `privacy_of`, by kind and name. Building a context reads it directly and saves a call
for each attribute. A name that is missing here is not decided yet."""


def privacy_of(name: str, kind: str = USER) -> Privacy:
    """Whether an attribute of this name is public, private or withheld in contexts of a kind."""
    privacy = decided[kind].get(name)
    if privacy is None:
        privacy = _decide(name, kind)
        if len(decided[kind]) < _NAMES_KEPT:
            decided[kind][name] = privacy
    return privacy


def useless_names() -> dict[str, str]:
    """Names in `LAUNCHDARKLY_ATTRIBUTES` without effect, and why, as the end of a sentence."""
    found: dict[str, str] = {}
    names = _names_of_all_kinds()
    known = {*names, *IDENTITY, *SEGMENT_NAMES, "anonymous_key"}
    for name in sorted(_listed() - {EVERYTHING}):
        found_in = [each for kind in kinds() if (each := catalogue(kind.name).get(name))]
        if found_in and all(each.privacy is Privacy.WITHHELD for each in found_in):
            found[name] = "is withheld by the catalogue: the catalogue wins"
        elif name not in known and not name.startswith(CUSTOM_PREFIX):
            found[name] = "is not in the catalogue"
    return found


def misspelt_private_names() -> dict[str, str]:
    """Names in `PRIVATE_ATTRIBUTES` that are nearly those of an attribute, and the one meant.

    Other unknown names are fine: they may be extra attributes of single calls.
    """
    found: dict[str, str] = {}
    names = _names_of_all_kinds()
    for name in app_settings().private_attributes:
        if name not in names and not name.startswith(CUSTOM_PREFIX):
            nearest = get_close_matches(name.lower(), [*names, CUSTOM_PREFIX], n=1, cutoff=0.75)
            if nearest:
                found[name] = nearest[0]
    return found


def _names_of_all_kinds() -> dict[str, None]:
    return dict.fromkeys(name for kind in kinds() for name in catalogue(kind.name))


def sends_segments() -> bool:
    """Whether segments are sent: without them no rule in LaunchDarkly can target one."""
    return not _listed().isdisjoint({EVERYTHING, "segments"})


def is_withheld(name: str) -> bool:
    """Whether an attribute of users of this name is never sent."""
    return privacy_of(name) is Privacy.WITHHELD


def _decide(name: str, kind: str) -> Privacy:
    # Permission to send the list of segments includes the object.
    name = "segments" if name in SEGMENT_NAMES else name
    if name in IDENTITY:
        return Privacy.PUBLIC
    listed, attribute = _listed(), catalogue(kind).get(name)
    if attribute is not None and attribute.privacy is Privacy.WITHHELD:
        return Privacy.WITHHELD
    is_metadata = attribute is None and name.startswith(CUSTOM_PREFIX)
    may_be_sent = name in listed or (EVERYTHING in listed and not is_metadata)
    if not may_be_sent:
        return Privacy.WITHHELD
    return Privacy.PRIVATE if name in private_names(kind) else Privacy.PUBLIC


@cache
def _listed() -> frozenset[str]:
    return frozenset(app_settings().launchdarkly_attributes)


def _forget_list(*, setting: str, **_kwargs: object) -> None:
    if setting in {"FEATUREFLAGS", "INSTALLED_APPS", "AUTH_USER_MODEL"}:
        _listed.cache_clear()
        decided.clear()


setting_changed.connect(_forget_list, dispatch_uid="featureflags.contexts.privacy")
