"""The one catalogue of attributes: what rules may test, and what LaunchDarkly may see.

They follow from the kind that the project declares (`featureflags.kinds`). For what no field or
expression gives, a project lists dotted paths to `Attribute` instances in
`FEATUREFLAGS["ATTRIBUTES"]`. Every key of a user's metadata is an attribute too: `custom_<key>`, of any
type.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final, NamedTuple

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report
from featureflags.core.types import JSONValue
from featureflags.kinds.attribute import Attribute, Privacy
from featureflags.kinds.declaration import Metadata
from featureflags.kinds.registry import kind_named, user_kind
from featureflags.kinds.snapshot import USER, Address, Snapshot, address
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.time_attributes import Clock

__all__ = [
    "CUSTOM_PREFIX",
    "RESERVED_NAMES",
    "SEGMENT_NAMES",
    "Attribute",
    "Privacy",
    "attributes_of",
    "catalogue",
    "clocks_of",
    "declaration_problems",
    "is_domain",
    "is_lower_case",
    "is_shown_to_self",
    "is_user_writable",
    "private_names",
    "related_rows",
    "type_of",
    "verifier_of",
    "verifiers",
]

logger = logging.getLogger(__name__)

CUSTOM_PREFIX = "custom_"
SEGMENT_NAMES = frozenset({"segments", "segment"})
"""How a user's segments are called in a context: the list, and the object."""

BUILT_IN_TYPES: Final = {"kind": AttributeType.STRING, "anonymous": AttributeType.BOOLEAN}
"""LaunchDarkly's own attributes, which every context has."""

RESERVED_NAMES = frozenset({"kind", "anonymous", "_meta", "anonymous_key"}) | SEGMENT_NAMES
"""Names in a context that mean something else: no attribute may have them."""


@cache
def catalogue(kind: str = USER) -> Mapping[str, Attribute]:
    """All attributes of a kind by name; metadata keys are not listed. Empty for an unknown kind.

    Those of `user` include the project's own. Declarations that cannot be used are left out: see
    `declaration_problems`.
    """
    if kind == USER:
        return _read_catalogue().attributes
    known = kind_named(kind)
    return {} if known is None else {attribute.name: attribute for attribute in known.attributes}


def declaration_problems() -> tuple[str, ...]:
    """Why entries of `FEATUREFLAGS["ATTRIBUTES"]` cannot be used, one sentence each."""
    return _read_catalogue().problems


class _Catalogue(NamedTuple):
    attributes: Mapping[str, Attribute]
    problems: tuple[str, ...]


@cache
def _read_catalogue() -> _Catalogue:
    attributes = {attribute.name: attribute for attribute in user_kind().attributes}
    problems: list[str] = []
    for path in app_settings().attributes:
        try:
            attribute = import_string(path)
        except Exception as error:  # noqa: BLE001 - a project's module may raise anything
            problems.append(f"{path!r} cannot be imported: {error}")
            continue
        why = _refusal(attribute, attributes)
        if why is None:
            attributes[attribute.name] = attribute
        else:
            problems.append(f"{path!r} {why}")
    for problem in problems:
        logger.error("FEATUREFLAGS['ATTRIBUTES']: %s", problem)
    return _Catalogue(attributes, tuple(problems))


def _refusal(attribute: object, taken: Mapping[str, Attribute]) -> str | None:
    if not isinstance(attribute, Attribute):
        return f"is not an Attribute, but {type(attribute).__name__!r}."
    name = attribute.name
    if name in taken or name in RESERVED_NAMES or name.startswith(CUSTOM_PREFIX):
        return f"has the name {name!r}, which is taken."
    if not name or not name.isidentifier():
        return f"has the name {name!r}: use letters, digits and underscores."
    return None


def type_of(name: str, kind: str = USER) -> AttributeType | None:
    """The type of an attribute that a rule may test; None if there is no such attribute."""
    attribute = catalogue(kind).get(name)
    if attribute is not None:
        return attribute.type
    if name in BUILT_IN_TYPES:
        return BUILT_IN_TYPES[name]
    is_metadata = name.startswith(CUSTOM_PREFIX) and name != CUSTOM_PREFIX
    known = kind_named(kind)
    has_metadata = known is not None and known.metadata is not None
    return AttributeType.ANY if is_metadata and has_metadata else None


def is_user_writable(name: str, kind: str = USER) -> bool:
    """Whether users choose the value themselves. Metadata is written by staff and trusted code, unless its
    declaration says otherwise."""
    attribute = catalogue(kind).get(name)
    if attribute is not None:
        return attribute.user_writable
    known = kind_named(kind)
    if known is None or not name.startswith(CUSTOM_PREFIX):
        return False
    declared = known.declared.declared.values()
    return any(isinstance(one, Metadata) and one.user_writable for one in declared)


def is_shown_to_self(name: str, kind: str = USER) -> bool:
    """Whether users see this attribute of themselves, and of the rows of other kinds that belong to them.

    Never segments, and metadata only if it is declared so.
    """
    if name in {"kind", "key", "anonymous", "anonymous_key"}:
        return True
    if name.startswith(CUSTOM_PREFIX):
        known = kind_named(kind)
        return known is not None and known.shows_metadata_to_self
    attribute = catalogue(kind).get(name)
    return attribute is not None and attribute.shown_to_self


def is_lower_case(name: str, kind: str = USER) -> bool:
    """Whether every value of the attribute is stored in lower case."""
    attribute = catalogue(kind).get(name)
    return attribute is not None and attribute.is_lower_case


def is_domain(name: str, kind: str = USER) -> bool:
    """Whether every value of the attribute is the domain of an address."""
    attribute = catalogue(kind).get(name)
    return attribute is not None and attribute.is_domain


def verifier_of(name: str, kind: str = USER) -> str | None:
    """The attribute that is true once the value of this one is proven; None where it has none."""
    attribute = catalogue(kind).get(name)
    return None if attribute is None else attribute.verified_by


def verifiers(kind: str = USER) -> frozenset[str]:
    """The attributes that say that values of others are proven."""
    return frozenset(found.verified_by for found in catalogue(kind).values() if found.verified_by)


@cache
def private_names(kind: str = USER) -> frozenset[str]:
    """The attributes that LaunchDarkly may use in rules, and redacts from every event."""
    marked = {name for name, found in catalogue(kind).items() if found.privacy is Privacy.PRIVATE}
    return frozenset(marked | set(app_settings().private_attributes))


def attributes_of(
    snapshot: Snapshot, now: int, *, failed: list[str] | None = None
) -> dict[str, JSONValue]:
    """What rules see of a row at `now` (µs). An attribute that it does not have is left out.

    An attribute whose function raises is left out too, logged, and added to `failed`. The values
    inside metadata are the snapshot's own and must not be changed.
    """
    attributes: dict[str, JSONValue] = {}
    for name, value_of in _values(snapshot.kind):
        try:
            value = value_of(snapshot, now)
        except Exception as error:  # noqa: BLE001 - a project's function must not fail a page
            _note_failure(name, error, failed)
            continue
        if value is not None:
            attributes[name] = value
    metadata = _metadata_of(snapshot.kind)
    if metadata is not None:
        for key, value in getattr(snapshot, metadata).items():
            if value is not None:
                attributes[CUSTOM_PREFIX + key] = value
    return attributes


def clocks_of(snapshot: Snapshot, *, failed: list[str] | None = None) -> dict[str, Clock]:
    """The attributes of this row that change by themselves, and when; `failed` as above."""
    clocks: dict[str, Clock] = {}
    for name, clock_of in _clocks(snapshot.kind):
        try:
            clock = clock_of(snapshot)
        except Exception as error:  # noqa: BLE001 - as above
            _note_failure(name, error, failed)
            continue
        if clock is not None:
            clocks[name] = clock
    return clocks


def related_rows(snapshot: Snapshot) -> tuple[Address, ...]:
    """The rows of other kinds that belong to this one; nothing is read."""
    return tuple(
        address(kind, key)
        for kind, name in _related_fields(snapshot.kind)
        if (key := getattr(snapshot, name)) is not None
    )


def _note_failure(name: str, error: Exception, failed: list[str] | None) -> None:
    message = "The attribute %r could not be computed (%s)."
    report(logger, f"attribute_failed:{name:.40}", message, name, type(error).__name__)
    if failed is not None:
        failed.append(name)


@cache
def _values(kind: str) -> tuple[tuple[str, Callable[[Snapshot, int], JSONValue]], ...]:
    return tuple((name, attribute.value) for name, attribute in catalogue(kind).items())


@cache
def _metadata_of(kind: str) -> str | None:
    """The field of a snapshot that holds the metadata."""
    known = kind_named(kind)
    return None if known is None or known.metadata is None else known.metadata.name


@cache
def _related_fields(kind: str) -> tuple[tuple[str, str], ...]:
    """Other kinds, and the fields of a snapshot that hold the keys of their rows."""
    known = kind_named(kind)
    return () if known is None else tuple(known.related.items())


@cache
def _clocks(kind: str) -> tuple[tuple[str, Callable[[Snapshot], Clock | None]], ...]:
    return tuple(
        (name, attribute.clock)
        for name, attribute in catalogue(kind).items()
        if attribute.clock is not None
    )


def _forget_catalogue(*, setting: str, **_kwargs: object) -> None:
    if setting in {"FEATUREFLAGS", "INSTALLED_APPS", "AUTH_USER_MODEL"}:
        for cached in (_read_catalogue, catalogue, private_names, _values, _clocks):
            cached.cache_clear()
        _metadata_of.cache_clear()
        _related_fields.cache_clear()


setting_changed.connect(_forget_catalogue, dispatch_uid="featureflags.contexts.attributes")
