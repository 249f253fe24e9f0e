"""The context of a row as the admin shows it: attributes with their privacy, for each kind a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from featureflags.admin.shared.json_forms import pretty_json
from featureflags.admin.shared.pages import row_page
from featureflags.contexts.attributes import catalogue
from featureflags.contexts.subject_context import SubjectContext
from featureflags.editing import moment_in_words
from featureflags.evaluation.reasons import degradation_in_words
from featureflags.inspection.flag_parsing import RawData
from featureflags.inspection.flags_using_attribute import flags_by_attribute
from featureflags.kinds.registry import kind_or_user
from featureflags.kinds.snapshot import USER
from featureflags.segments.formatting import show

NOT_ATTRIBUTES = frozenset({"kind", "_meta"})
"""Parts of a context that are not attributes of the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRow:
    """One attribute, its value as JSON. `privacy` is `public`, `private` or `withheld`."""

    name: str
    label: str
    value: str
    """Empty if it is withheld."""
    privacy: str
    wanted_by: tuple[str, ...] = ()
    """Withheld all the same: the flags that ask LaunchDarkly for it. Their rules match nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedPart:
    """The context of a row of another kind that belongs to the row of the page."""

    kind: str
    key: str
    title: str
    """Empty where the row is gone."""
    page: str
    attributes: list[AttributeRow]
    segments: tuple[str, ...]


def context_shown(found: SubjectContext, raw: RawData, seen: Collection[str]) -> dict[str, Any]:
    """What the template takes. `raw`: LaunchDarkly's flags. `seen`: the kinds whose rows the reader may
    look at."""
    own, *others = found.parts or (found,)
    shown = [own, *(each for each in others if each.context.kind in seen)]
    contexts = {each.context.kind: each.context.to_dict() for each in shown}
    return {
        "attributes": _attributes_of(own, contexts, raw),
        "related": [
            RelatedPart(
                kind=each.context.kind,
                key=each.context.key,
                title=_title_of(each),
                page=row_page(kind_or_user(each.context.kind), each.context.key),
                attributes=_attributes_of(each, contexts, raw),
                segments=each.segments,
            )
            for each in shown[1:]
        ],
        "context_json": pretty_json(contexts if len(shown) > 1 else contexts[own.context.kind]),
        "withheld": own.withheld,
        "degraded": [degradation_in_words(reason) for reason in found.degraded],
        "valid_until": "" if found.valid_until is None else moment_in_words(found.valid_until),
    }


def _attributes_of(
    part: SubjectContext, contexts: Mapping[str, Any], raw: RawData
) -> list[AttributeRow]:
    kind = part.context.kind
    wanted_by = flags_by_attribute(raw, kind) if part.withheld else {}
    return attribute_rows(contexts[kind], part.withheld, wanted_by, kind)


def _title_of(part: SubjectContext) -> str:
    key = part.context.key
    return kind_or_user(part.context.kind).titles([key]).get(key, "")


def attribute_rows(
    context: Mapping[str, Any],
    withheld: tuple[str, ...],
    wanted_by: Mapping[str, tuple[str, ...]],
    kind: str = USER,
) -> list[AttributeRow]:
    """The attributes of a context (as its dictionary), then the withheld ones by name.

    `wanted_by`: the flags that ask for an attribute, by its name.
    """
    private = set(context.get("_meta", {}).get("privateAttributes", ()))
    sent = [
        AttributeRow(
            name=name,
            label=attribute_label(name, kind),
            value=show(value),
            privacy="private" if name in private else "public",
        )
        for name, value in sorted(context.items())
        if name not in NOT_ATTRIBUTES
    ]
    kept = [
        AttributeRow(
            name=name,
            label=attribute_label(name, kind),
            value="",
            privacy="withheld",
            wanted_by=wanted_by.get(name, ()),
        )
        for name in sorted(withheld)
    ]
    return [*sent, *kept]


def attribute_label(name: str, kind: str = USER) -> str:
    """Its label; empty for an attribute that no kind declares."""
    known = catalogue(kind).get(name)
    return "" if known is None else str(known.label)
