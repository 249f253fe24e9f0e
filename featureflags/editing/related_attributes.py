"""What the attributes of rows of another kind are called on the rows that they belong to.

    class OrganizationKind(Kind):  seats = Number("seats")
    class UserKind(Kind):          organization = Related("profile__company", kind="organization")
                                   company_seats = Number("profile__company__seats")

The `company_seats` of a user are the `seats` of the organization that goes out with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.db.models import ForeignKey
from django.utils.translation import gettext as _

from featureflags.contexts.attributes import CUSTOM_PREFIX, catalogue
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.declaration import Declared, Metadata, Number, Related, Text
from featureflags.kinds.paths import field_of, split_path
from featureflags.kinds.registry import kind_named
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.percentages import KEY


class NoWay(ValueError):
    """Why something of another kind has no name here, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """From the rows of a kind to the one row of another kind that belongs to each."""

    kind: CompiledKind
    other: CompiledKind
    path: str

    def name_of(self, attribute: str) -> str:
        """What `kind` calls this attribute of `other`. Raises NoWay."""
        if attribute == KEY:
            return self.key
        shown = {"other": self.other.name, "attribute": attribute}
        if hides_rows(self.other):
            # Such a row goes out with nothing but its key, and a path reads its values all the same.
            text = _(
                "the default manager of %(other)r leaves rows out, whose values a path would read"
            )
            raise NoWay(text % shown)
        is_declared = attribute in catalogue(self.other.name)
        theirs = (
            _usable(self.other).get(attribute) if is_declared else _metadata(self.other, attribute)
        )
        if theirs is None and not is_declared:
            raise NoWay(_("%(other)r has no attribute %(attribute)r") % shown)
        if theirs is None or not isinstance(theirs.source, str):
            text = _("%(attribute)r of %(other)r is computed, so that no path leads to it")
            raise NoWay(text % shown)
        return self._own(attribute, replace(theirs, source=f"{self.path}__{theirs.source}"))

    @property
    def key(self) -> str:
        """What `kind` calls the key of `other`: a number where the keys are numbers. Raises NoWay."""
        path = f"{self.path}__{field_of(self.other.model, self.other.key).name}"
        while isinstance(field := split_path(self.kind.model, path)[1], ForeignKey):
            path = f"{path}__{field.target_field.name}"
        return self._own(KEY, Number(path) if self.other.has_integer_keys else Text(path))

    def is_list(self, name: str) -> bool:
        """True if this attribute of `kind` is a list, which is empty where there is no other row."""
        found = catalogue(self.kind.name).get(name)
        return found is not None and found.type is AttributeType.LIST

    def _own(self, attribute: str, wanted: Declared) -> str:
        for name, declared in _usable(self.kind).items():
            if self._are_same(declared, wanted):
                return attribute if isinstance(declared, Metadata) else name
        written = f"{_identifier(f'{self.other.name}_{attribute}')} = {_written(wanted)}"
        text = _("add %(written)s to the class of %(kind)r in kinds.py")
        raise NoWay(text % {"written": written, "kind": self.kind.name})

    def _are_same(self, one: Declared, other: Declared) -> bool:
        if (
            type(one) is not type(other)
            or not isinstance(one.source, str)
            or _form(one) != _form(other)
        ):
            return False
        model = self.kind.model
        return split_path(model, one.source) == split_path(model, str(other.source))


def way_to(kind: CompiledKind, name: str) -> Way:
    """The way from the rows of `kind` to the one of the kind of this name. Raises NoWay."""
    other = kind_named(name)
    if other is None:
        raise NoWay(_("there is no kind %r") % name)
    shown = {"kind": kind.name, "other": name, "field": _identifier(name)}
    ways = list(_ways(kind, name, (kind.name,)))
    if not ways:
        text = _(
            "say which %(other)r belongs to a row of %(kind)r, with"
            ' %(field)s = Related("…", kind="%(other)s") in kinds.py'
        )
        raise NoWay(text % shown)
    if len(ways) > 1:
        raise NoWay(_("several ways lead from %(kind)r to %(other)r") % shown)
    [steps] = ways
    if not all(isinstance(step.source, str) for step in steps):
        raise NoWay(_("an expression leads from %(kind)r to %(other)r, and no path") % shown)
    for step in steps[:-1]:
        between = kind_named(step.kind)
        if between is not None and hides_rows(between):
            text = _(
                "the default manager of %(other)r leaves rows out, whose values a path would read"
            )
            raise NoWay(text % {"other": between.name})
    return Way(kind=kind, other=other, path="__".join(str(step.source) for step in steps))


def reached(kind: CompiledKind) -> frozenset[str]:
    """The other kinds of which a row may belong to a row of this kind."""
    found, waiting = set[str](), [kind]
    while waiting:
        for name in waiting.pop().related:
            other = kind_named(name)
            if other is not None and name not in {kind.name, *found}:
                found.add(name)
                waiting.append(other)
    return frozenset(found)


def hides_rows(kind: CompiledKind) -> bool:
    """True if the model's default manager leaves rows out."""
    return bool(kind.rows().query.where)


def _ways(kind: CompiledKind, name: str, seen: tuple[str, ...]) -> Iterator[tuple[Related, ...]]:
    for declared in _usable(kind).values():
        if not isinstance(declared, Related) or declared.kind in seen:
            continue
        other = kind_named(declared.kind)
        if other is None:
            continue
        if declared.kind == name:
            yield (declared,)
        else:
            yield from ((declared, *rest) for rest in _ways(other, name, (*seen, other.name)))


def _usable(kind: CompiledKind) -> dict[str, Declared]:
    """What the kind declares, without what has a problem."""
    broken = {name for name, _why in kind.problems}
    return {name: one for name, one in kind.declared.declared.items() if name not in broken}


def _metadata(kind: CompiledKind, attribute: str) -> Declared | None:
    """The metadata of which this is a key."""
    found = (one for one in _usable(kind).values() if isinstance(one, Metadata))
    return next(found, None) if attribute.startswith(CUSTOM_PREFIX) else None


def _form(declared: Declared) -> bool:
    return isinstance(declared, Text) and declared.blank_is_missing


def _written(declared: Declared) -> str:
    option = ", blank_is_missing=True" if _form(declared) else ""
    return f'{type(declared).__name__}("{declared.source}"{option})'


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)
