"""Values, moments and rollouts in words, for the admin's pages."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from django.utils import formats
from django.utils.translation import gettext as _

from featureflags.audience import Estimate
from featureflags.contexts.attributes import catalogue
from featureflags.editing import label_of, moment_in_words
from featureflags.inspection.rollouts import Serving
from featureflags.kinds.snapshot import USER
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.explanation_tree import MISSING
from featureflags.segments.formatting import show
from featureflags.segments.member_json import parse_expiry

MILLION: Final = 1_000_000
CLEAR: Final = 0.5
"""An estimate whose interval reaches further than this share of it is shown as the interval alone."""


def with_thousands(number: int) -> str:
    """A number with its thousands apart."""
    return formats.number_format(number, force_grouping=True)


def estimate_in_words(estimate: Estimate) -> tuple[str, str]:
    """A number, and how exact it is in brackets: “about 1.24 million”, “ (± 2 %)”.

    The second text is empty where the first one says it: “between 200 and 1,400”, “at most 530”.
    """
    if estimate.low == estimate.high:
        return with_thousands(estimate.low), ""
    about = _rounded(estimate.about, 3)
    reach = max(estimate.high - about, about - estimate.low)
    if reach <= CLEAR * about:
        percent = with_thousands(math.ceil(reach * 100 / about))
        return _("about %s") % _short(about), _(" (± %s %%)") % percent
    high = _short(_rounded(estimate.high, 2, math.ceil))
    if estimate.low == 0:
        return _("at most %s") % high, ""
    low = _short(_rounded(estimate.low, 2, math.floor))
    return _("between %(low)s and %(high)s") % {"low": low, "high": high}, ""


def _rounded(number: int, digits: int, to_integer: Callable[[float], int] = round) -> int:
    """A number with so many digits that are not zero."""
    unit: int = 10 ** max(0, len(str(number)) - digits)
    return to_integer(number / unit) * unit


def _short(number: int) -> str:
    if number < MILLION:
        return with_thousands(number)
    millions = formats.number_format(Decimal(number) / MILLION, force_grouping=True)
    return _("%s million") % millions


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
