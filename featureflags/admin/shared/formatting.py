"""Values, moments and rollouts in words, for the admin's pages."""

from __future__ import annotations

from django.utils.translation import gettext as _

from featureflags.contexts.attributes import catalogue
from featureflags.editing import label_of, moment_in_words
from featureflags.inspection.rollouts import Serving
from featureflags.kinds.snapshot import USER
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.explanation_tree import MISSING
from featureflags.segments.formatting import show
from featureflags.segments.member_json import parse_expiry


def observed_in_words(attribute: str, observed: object, kind: str = USER) -> str:
    """What a row of a kind has of an attribute, under its label: `E-mail verified: false`."""
    known, label = catalogue(kind).get(attribute), label_of(attribute, kind)
    if observed is MISSING:
        return _("%s: not known") % label
    text = f"{label}: {show(observed)}"
    if known is not None and known.type is AttributeType.DATETIME:
        instant = parse_expiry(observed)
        if instant is not None:
            text += f", {moment_in_words(instant)}"
    return text


def bucket_in_words(serving: Serving) -> str:
    """The place of a context in a percentage rollout; empty without a rollout."""
    if serving.bucket is None:
        return ""
    kind = serving.bucket_kind
    if serving.bucket < 0:
        return _("There is no context of the kind %s, by which it goes: the first share.") % kind
    if serving.bucket == 0:
        return _("%s cannot be divided into shares: everybody gets the first.") % serving.bucket_by
    text = _("This user falls at %(place).3f %%: %(value)s.")
    if kind != USER:
        text = _("The %(kind)s falls at %(place).3f %%: %(value)s.")
    return text % {"kind": kind, "place": serving.bucket * 100, "value": show(serving.value)}
