"""What the editor of rules knows, as JSON: attributes, operators, segments, and its texts.

All of it comes from the catalogue and the table of operators; the JavaScript repeats none of it.
Hidden SQL: one query for the segments, and those of `suggestions`.
"""

from __future__ import annotations

from typing import Final

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.admin.rule_editor.texts import editor_texts
from featureflags.admin.shared.segment_finder import finder, listed_segments
from featureflags.audience import Suggestion, suggestions
from featureflags.contexts.attributes import CUSTOM_PREFIX, Attribute, catalogue
from featureflags.core.types import JSONValue
from featureflags.kinds.registry import USER
from featureflags.segments.attribute_types import OPERATORS_BY_TYPE, AttributeType
from featureflags.segments.date_values import PERIODS, TODAY
from featureflags.segments.definitions import SEGMENT_MATCH
from featureflags.segments.operator_labels import IGNORES_CASE, IS, ONE_VALUE, OPERATORS, ValueKind
from featureflags.segments.percentages import KEY
from featureflags.segments.value_words import MONTH_WORDS, PERIOD_WORDS

NOTHING_KNOWN: Final = Suggestion()

BUCKETED: Final = {AttributeType.STRING, AttributeType.NUMBER, AttributeType.SEMVER}

INPUTS: Final = {
    ValueKind.STRING: "text",
    ValueKind.REGEX: "expression",
    ValueKind.NUMBER: "number",
    ValueKind.INSTANT: "instant",
    ValueKind.INSTANTS: "between",
    ValueKind.DURATION: "duration",
    ValueKind.PERIOD: "period",
    ValueKind.DAY: "day",
    ValueKind.SEMVER: "text",
    ValueKind.IP_RANGE: "text",
    ValueKind.COUNT: "count",
    ValueKind.SEGMENT: "segment",
    ValueKind.NOTHING: "nothing",
}
"""The input for the values of an operator."""

INPUTS_OF_ANY: Final = {
    AttributeType.STRING: "text",
    AttributeType.NUMBER: "number",
    AttributeType.BOOLEAN: "boolean",
    AttributeType.SEMVER: "text",
}
"""The same for `in`, whose values have the type of the attribute; others take any type."""


def vocabulary(own_key: str, kind: str = USER) -> dict[str, JSONValue]:
    """What the editor of the segment `own_key` (empty: a new one) of a kind needs."""
    known = suggestions(kind)
    return {
        "attributes": [
            _attribute(attribute, known.get(name, NOTHING_KNOWN))
            for name, attribute in catalogue(kind).items()
        ],
        "metadata": [
            {
                "name": name,
                "label": name.removeprefix(CUSTOM_PREFIX),
                "types": list(found.types),
                "suggestions": list(found.values),
            }
            for name, found in sorted(known.items())
            if name.startswith(CUSTOM_PREFIX)
        ],
        "customPrefix": CUSTOM_PREFIX,
        "bucketKey": KEY,
        "types": {each.value: _inputs(each) for each in AttributeType},
        "anyType": AttributeType.ANY.value,
        "operators": {
            op: {
                "label": _(info.label),
                "negated": _(info.negated_label),
                "takesOne": op in ONE_VALUE,
                "ignoresCase": op in IGNORES_CASE,
            }
            for op, info in OPERATORS.items()
        },
        "booleanLabels": {"label": _(IS.label), "negated": _(IS.negated_label)},
        "segmentMatch": SEGMENT_MATCH,
        "tryAddress": reverse("admin:featureflags_try_expression"),
        **_segments(own_key, kind),
        **_dates(),
        "texts": editor_texts(kind),
    }


def _dates() -> dict[str, JSONValue]:
    """What the inputs of dates offer."""
    units = {"H": _("hours"), "D": _("days"), "W": _("weeks"), "M": _("months"), "Y": _("years")}
    return {
        "zone": timezone.get_current_timezone_name(),
        "units": [[unit, words] for unit, words in units.items()],
        "periods": [[name, _(PERIOD_WORDS[name])] for name in PERIODS],
        "months": [[f"{n:02}", _(month)] for n, month in enumerate(MONTH_WORDS, start=1)],
        "today": TODAY,
    }


def _attribute(attribute: Attribute, known: Suggestion) -> JSONValue:
    is_text = attribute.type in {AttributeType.STRING, AttributeType.LIST}
    return {
        "name": attribute.name,
        "label": str(attribute.label),
        "type": attribute.type.value,
        "isAlwaysKnown": attribute.always_known,
        "isLowerCase": attribute.is_lower_case,
        # A percentage by it is stable, and has more than one bucket.
        "buckets": attribute.type in BUCKETED and attribute.clock is None,
        "choices": [[value, str(label)] for value, label in attribute.choices],
        "suggestions": list(known.values) if is_text else [],
        # Rows of texts hold only texts.
        "inputs": {"in": "text"} if attribute.sql_related is not None else {},
    }


def _inputs(kind: AttributeType) -> dict[str, JSONValue]:
    """The operators of a type in the order of the menu, each with its input."""
    inputs: dict[str, JSONValue] = {}
    for op in OPERATORS_BY_TYPE[kind]:
        values = OPERATORS[op].value_kind
        inputs[op] = INPUTS_OF_ANY.get(kind, "any") if values is ValueKind.ANY else INPUTS[values]
    return inputs


def _segments(own_key: str, kind: str) -> dict[str, JSONValue]:
    """Segments that a rule may name: all others of the kind that are not archived, or the address that finds them."""
    rows = listed_segments(kind=kind, without=own_key)
    if rows is None:
        return {"segments": [], "segmentFinder": finder(kind=kind, without=own_key)}
    return {
        "segments": [{"key": key, "label": f"{name} ({key})"} for key, name in rows],
        "segmentFinder": "",
    }
