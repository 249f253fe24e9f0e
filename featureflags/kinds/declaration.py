"""How a project declares a kind: its model, its key, and the attributes of its contexts.

    class UserKind(Kind):
        name = "user"
        model = User
        title = "username"
        search = ("username", "email")

        email = Text("email", private=True, user_writable=True)
        plan = Text("profile__plan")
        groups = Many("groups__name")
        account_age_days = DaysSince("date_joined")

A source is a field, a path of Django's with double underscores, or an expression. What is declared
is read by `featureflags.kinds.compiled`; mistakes are found by the system checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from django.db.models import Model, Q
from django.db.models.expressions import Combinable
from django.utils.functional import Promise

Label: TypeAlias = str | Promise
Choices: TypeAlias = Iterable[tuple[str, Label]]


@dataclass(frozen=True, slots=True)
class WatchRows:
    """For an expression: a change of a row of `model` changes the row that its path `via` leads to."""

    model: type[Model]
    via: str
    fields: Sequence[str] = ()
    """The fields whose change counts; none: each."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One attribute: where its value is read, and what may be done with it."""

    source: str | Combinable
    """A field, a path, or an expression whose `output_field` is set."""
    label: Label | None = field(default=None, kw_only=True)
    """For people. None: the field's own name, or the attribute's."""
    private: bool = field(default=False, kw_only=True)
    """LaunchDarkly may use it in rules, and keeps it out of events."""
    withheld: bool = field(default=False, kw_only=True)
    """Only segments see it."""
    user_writable: bool = field(default=False, kw_only=True)
    """Users choose the value themselves: a rule that tests nothing else is named by a warning."""
    verified_by: str | None = field(default=None, kw_only=True)
    """The attribute of this kind that is true once the value is proven: a rule that asks for it too is safe."""
    shown_to_self: bool | None = field(default=None, kw_only=True)
    """Users see it of themselves in the API. None: yes, but for `Metadata`."""
    always_known: bool | None = field(default=None, kw_only=True)
    """Every row has a value. None: as the field says."""
    watch: WatchRows | Sequence[WatchRows] = field(default=(), kw_only=True)
    """For an expression that reads other rows: whose changes count."""


@dataclass(frozen=True, slots=True)
class Text(Declared):
    """A text."""

    choices: Choices | None = field(default=None, kw_only=True)
    """Value and label of each. None: those of the field."""
    lower_case: bool = field(default=False, kw_only=True)
    """Every stored value is in lower case; rules are normalised alike."""
    blank_is_missing: bool = field(default=False, kw_only=True)
    """A row with the empty text does not have the attribute."""


@dataclass(frozen=True, slots=True)
class Domain(Declared):
    """The domain of an e-mail address: what follows the last @, in lower case."""


@dataclass(frozen=True, slots=True)
class Boolean(Declared):
    """True or false."""


@dataclass(frozen=True, slots=True)
class Number(Declared):
    """An integer, or a number as a double."""


@dataclass(frozen=True, slots=True)
class Instant(Declared):
    """A date with its time, in RFC 3339 to rules."""


@dataclass(frozen=True, slots=True)
class DaysSince(Declared):
    """How many whole days of 24 hours have passed since an instant; never negative."""


@dataclass(frozen=True, slots=True)
class Many(Declared):
    """A list of texts in other rows, such as `groups__name`, sorted."""

    loaded_as: str | None = field(default=None, kw_only=True)
    """The attribute of a loaded row that holds the list already, if the project's queries set one."""


@dataclass(frozen=True, slots=True)
class Metadata(Declared):
    """A JSON object, each of whose keys is an attribute `custom_<key>` of any type."""


@dataclass(frozen=True, slots=True)
class Related(Declared):
    """The row of another kind that belongs to this one, such as a user's organization.

    `source` is a path that ends in a foreign key. Its context is sent with this one, as a
    multi-context. The field makes no attribute of this kind.
    """

    kind: str = field(kw_only=True)
    """The name of the other kind."""


class Kind:
    """A kind of LaunchDarkly contexts, made from the rows of a model."""

    name: ClassVar[str]
    """As LaunchDarkly calls it: `user`, `organization`, …"""
    model: ClassVar[type[Model]]
    key: ClassVar[str] = "pk"
    """The field whose value, as text, is the context's key. Unique."""
    title: ClassVar[str | None] = None
    """The field by which people know a row; lists are in its order. None: the key."""
    label: ClassVar[str | None] = None
    """The field with a friendlier name, which may be empty."""
    search: ClassVar[Sequence[str]] = ()
    """The fields by which people find a row. The first one is compared as a whole, without case."""
    active: ClassVar[Q | None] = None
    """The rows that are warmed; None: all."""
    last_seen: ClassVar[str | None] = None
    """The field with the instant of the last visit, for warm-ups and statistics."""
    created: ClassVar[str | None] = None
    """The field with the instant at which the row began."""
    listed: ClassVar[Sequence[str]] = ()
    """Further attributes that lists and files of rows show."""
    declared: ClassVar[dict[str, Declared]] = {}
    """The attributes by name, in order; filled from the class body."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        found = dict(cls.declared)
        for name, value in list(vars(cls).items()):
            if isinstance(value, Declared):
                # `name_` declares an attribute whose name the class uses itself.
                found[name.removesuffix("_")] = value
        cls.declared = found
