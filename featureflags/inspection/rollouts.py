"""What a rule serves: one variation, or a percentage of each, and where a context falls.

The bucket of a context is computed as LaunchDarkly does: SHA-1 over the flag's key, its salt (or the
experiment's seed) and the value of the attribute to bucket by, see
<https://docs.launchdarkly.com/sdk/concepts/flag-evaluation-rules>.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, TypeGuard

from featureflags.core.i18n import gettext, ngettext
from featureflags.core.json_view import JSONView
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
class Share(JSONView):
    """One part of a percentage rollout."""

    variation: int
    value: JSONValue
    weight: int
    """Thousandths of a percent."""

    @property
    def percent(self) -> float:
        return self.weight / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving(JSONView):
    """What a rule serves: one variation, or shares of several."""

    JSON_ALSO = ("words",)
    JSON_WITHOUT = frozenset({"bucket"})

    variation: int | None
    """Its index; with shares, the one that this context gets. None: the default in the code."""
    value: JSONValue
    shares: tuple[Share, ...] = ()
    bucket_by: str = ""
    """The attribute that decides the share."""
    bucket_kind: str = USER_KIND
    """The kind of the context that has this attribute."""
    bucket: float | None = None
    """The bucket of this context, from 0 to 1. None without shares or without a context."""
    is_experiment: bool = False

    @property
    def words(self) -> str:
        """``true``, or ``25 % "red", 75 % "blue", by key``."""
        if self.shares:
            parts = ", ".join(
                f"{share.percent:g} % {show(share.value)}" for share in self.shares if share.weight
            )
            kind = gettext("an experiment: ") if self.is_experiment else ""
            text = gettext("%(kind)s%(parts)s, by %(bucket_by)s")
            if self.bucket_kind != USER_KIND:
                text = gettext("%(kind)s%(parts)s, by %(bucket_by)s of the %(bucket_kind)s")
            return text % {
                "kind": kind,
                "parts": parts or gettext("nothing"),
                "bucket_by": self.bucket_by,
                "bucket_kind": self.bucket_kind,
            }
        return gettext("the default in the code") if self.variation is None else show(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(JSONView):
    """Contexts that get a variation by their key. The keys themselves are left out."""

    context_kind: str
    keys: int
    """How many."""
    serving: Serving

    @property
    def words(self) -> str:
        if self.context_kind == USER_KIND:
            text = ngettext("%(keys)s user by key", "%(keys)s users by key", self.keys)
            return text % {"keys": self.keys}
        text = ngettext(
            "%(keys)s context of the kind %(context_kind)s by key",
            "%(keys)s contexts of the kind %(context_kind)s by key",
            self.keys,
        )
        return text % {"keys": self.keys, "context_kind": self.context_kind}


def serving_of(
    raw: Raw | None,
    flag: Raw,
    *,
    contexts: Mapping[str, Attributes] | None = None,
) -> Serving:
    """What a rule or the fallthrough of a flag serves, or what this context gets of it."""
    variations = items(flag, "variations")
    raw = raw if isinstance(raw, Mapping) else {}
    rollout = raw.get("rollout")
    if _is_whole(raw.get("variation")) or not isinstance(rollout, Mapping):
        return _fixed(raw.get("variation"), variations)
    is_experiment = rollout.get("kind") == "experiment"
    by = "key" if is_experiment else str(rollout.get("bucketBy") or "key")
    shares = tuple(_shares(rollout, variations))
    place = None
    if contexts is not None:
        prefix = _prefix(rollout.get("seed"), flag)
        place = bucket(contexts, prefix, by, rollout.get("contextKind"))
    chosen = None if place is None else _chosen(shares, place)
    return Serving(
        variation=None if chosen is None else chosen.variation,
        value=None if chosen is None else chosen.value,
        shares=shares,
        bucket_by=by,
        bucket_kind=text(rollout.get("contextKind")) or USER_KIND,
        bucket=place,
        is_experiment=is_experiment,
    )


def variation_of(flag: Raw, index: object) -> Serving:
    """The variation with this index; `offVariation` and targets use one."""
    return _fixed(index, items(flag, "variations"))


def targets_of(flag: Raw) -> Iterator[Target]:
    """Targets by key: `targets` are of users, `contextTargets` of any kind."""
    for name in ("targets", "contextTargets"):
        for target in objects(flag, name):
            if keys := len(items(target, "values")):
                kind = text(target.get("contextKind")) or USER_KIND
                serving = variation_of(flag, target.get("variation"))
                yield Target(context_kind=kind, keys=keys, serving=serving)


def bucket(contexts: Mapping[str, Attributes], prefix: str, by: str, context_kind: object) -> float:
    """The bucket of the context of this kind, from 0 to 1. As in LaunchDarkly it is -1 where there is none,
    and 0 for a value that cannot be hashed, for example a list."""
    kind = str(context_kind or USER_KIND)
    context = contexts.get(kind)
    if context is None:
        return -1.0
    try:
        path = attribute_path(by, str(context_kind) if context_kind else None)
    except ValueError:
        return 0.0
    value = reader(path, kind)(context)
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
