"""What a rule serves: one variation, or a percentage of each, and where a context falls.

The place of a context is computed as LaunchDarkly does it: SHA-1 over the flag's key, its salt
(or the seed of the experiment) and the value that it goes by, in
<https://docs.launchdarkly.com/sdk/concepts/flag-evaluation-rules>.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, TypeGuard

from featureflags.core.i18n import gettext, ngettext
from featureflags.core.types import Attributes, JSONValue
from featureflags.inspection.raw_json import Raw, items, objects, text
from featureflags.segments.definitions import USER_KIND
from featureflags.segments.formatting import show
from featureflags.segments.matching import reader
from featureflags.segments.references import attribute_path

WHOLE: Final = 100_000
"""LaunchDarkly counts weights in thousandths of a percent."""
_SCALE: Final = float(0xFFFFFFFFFFFFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One part of a percentage rollout."""

    variation: int
    value: JSONValue
    weight: int
    """Thousandths of a percent."""

    @property
    def percent(self) -> float:
        return self.weight / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What is served: one variation to all, or shares of several."""

    variation: int | None
    """The one that all get; of shares, the one that this context gets. None: there is none."""
    value: JSONValue
    shares: tuple[Share, ...] = ()
    bucket_by: str = ""
    """The attribute that the shares go by."""
    bucket: float | None = None
    """Where this context falls, from 0 to 1. None: there are no shares, or nobody was asked for."""
    is_experiment: bool = False

    @property
    def words(self) -> str:
        """``true``, or ``25 % "red", 75 % "blue", by key``."""
        if self.shares:
            parts = ", ".join(
                f"{share.percent:g} % {show(share.value)}" for share in self.shares if share.weight
            )
            kind = gettext("an experiment: ") if self.is_experiment else ""
            return gettext("%(kind)s%(parts)s, by %(bucket_by)s") % {
                "kind": kind,
                "parts": parts or gettext("nothing"),
                "bucket_by": self.bucket_by,
            }
        return gettext("the default in the code") if self.variation is None else show(self.value)

    def to_dict(self) -> dict[str, Any]:
        return {
            "words": self.words,
            "variation": self.variation,
            "value": self.value,
            "shares": [
                {"variation": share.variation, "value": share.value, "weight": share.weight}
                for share in self.shares
            ],
            "bucket_by": self.bucket_by,
            "is_experiment": self.is_experiment,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Contexts that are given a variation by their key. The keys themselves are not repeated."""

    context_kind: str
    keys: int
    """How many."""
    serving: Serving

    @property
    def words(self) -> str:
        if self.context_kind == USER_KIND:
            told = ngettext("%(keys)s user by key", "%(keys)s users by key", self.keys)
            return told % {"keys": self.keys}
        told = ngettext(
            "%(keys)s context of the kind %(context_kind)s by key",
            "%(keys)s contexts of the kind %(context_kind)s by key",
            self.keys,
        )
        return told % {"keys": self.keys, "context_kind": self.context_kind}

    def to_dict(self) -> dict[str, Any]:
        return {
            "context_kind": self.context_kind,
            "keys": self.keys,
            "serving": self.serving.to_dict(),
        }


def serving_of(
    raw: Raw | None,
    flag: Raw,
    *,
    context: Attributes | None = None,
) -> Serving:
    """What a rule or the fallthrough of a flag serves, to this context if one is given."""
    variations = items(flag, "variations")
    raw = raw if isinstance(raw, Mapping) else {}
    rollout = raw.get("rollout")
    if _is_whole(raw.get("variation")) or not isinstance(rollout, Mapping):
        return _fixed(raw.get("variation"), variations)
    is_experiment = rollout.get("kind") == "experiment"
    by = "key" if is_experiment else str(rollout.get("bucketBy") or "key")
    shares = tuple(_shares(rollout, variations))
    place = None
    if context is not None:
        prefix = _prefix(rollout.get("seed"), flag)
        place = bucket(context, prefix, by, rollout.get("contextKind"))
    chosen = None if place is None else _chosen(shares, place)
    return Serving(
        variation=None if chosen is None else chosen.variation,
        value=None if chosen is None else chosen.value,
        shares=shares,
        bucket_by=by,
        bucket=place,
        is_experiment=is_experiment,
    )


def variation_of(flag: Raw, index: object) -> Serving:
    """The variation of this index, as `offVariation` and targets name it."""
    return _fixed(index, items(flag, "variations"))


def targets_of(flag: Raw) -> Iterator[Target]:
    """Who is targeted by key. Those of users stand in `targets`, those of others beside them."""
    for name in ("targets", "contextTargets"):
        for target in objects(flag, name):
            if keys := len(items(target, "values")):
                kind = text(target.get("contextKind")) or USER_KIND
                serving = variation_of(flag, target.get("variation"))
                yield Target(context_kind=kind, keys=keys, serving=serving)


def bucket(context: Attributes, prefix: str, by: str, context_kind: object) -> float:
    """The place of a context from 0 to 1; -1 if it is of another kind, 0 for a value that cannot
    be hashed, as with LaunchDarkly: a list, for one."""
    if context_kind not in {None, "", USER_KIND}:
        return -1.0
    try:
        path = attribute_path(by, context_kind or None)
    except ValueError:
        return 0.0
    value = reader(path)(context)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return 0.0
    hashed = hashlib.sha1(f"{prefix}.{value}".encode(errors="replace")).hexdigest()  # noqa: S324 - LaunchDarkly's
    return int(hashed[:15], 16) / _SCALE


def _prefix(seed: object, flag: Raw) -> str:
    return str(seed) if _is_whole(seed) else f"{flag.get('key')}.{flag.get('salt') or ''}"


def _fixed(index: object, variations: Sequence[JSONValue]) -> Serving:
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(variations):
        return Serving(variation=None, value=None)
    return Serving(variation=index, value=variations[index])


def _shares(rollout: Mapping[str, Any], variations: Sequence[JSONValue]) -> Iterator[Share]:
    for each in objects(rollout, "variations"):
        index, weight = each.get("variation"), each.get("weight")
        if _is_whole(index) and _is_whole(weight):
            known = 0 <= index < len(variations)
            value = variations[index] if known else None
            yield Share(variation=index, value=value, weight=weight)


def _chosen(shares: Sequence[Share], place: float) -> Share | None:
    ends = accumulate(share.weight / WHOLE for share in shares)
    # Past the last end, by rounding or by weights that do not add up, it is the last share.
    last = shares[-1] if shares else None
    return next((share for share, end in zip(shares, ends, strict=True) if place < end), last)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
