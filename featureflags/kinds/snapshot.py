"""The only form in which a row leaves the ORM layer: frozen, JSON types only.

The fields follow from the kind's declaration: `featureflags.kinds.compiled` makes a subclass of
`Snapshot` for each kind. Imports no Django.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

USER: Final = "user"
"""The kind of those who log in."""

declared_kinds: Final[set[str]] = {USER}
"""The names of all kinds, for rooms that know no framework; kept by `featureflags.kinds.registry`."""

Address: TypeAlias = str | tuple[str, str]
"""Names a row: the key of a user as text; for a row of another kind the name of the kind and the key."""


def address(kind: str, key: str) -> Address:
    """The address of the row of this kind with this key."""
    return key if kind == USER else (kind, key)


def kind_and_key(row: Address) -> tuple[str, str]:
    """The parts of an address."""
    return (USER, row) if isinstance(row, str) else row


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """One row at one moment. Instants are microseconds since the epoch, in UTC.

    Values are shared by all callers, so nobody may change a list or an object inside.
    """

    kind: ClassVar[str] = USER
    """The name of the kind; the same for all snapshots of a type."""

    key: str
    """As text: LaunchDarkly's context key."""


def snapshot_type(kind: str, fields: Sequence[tuple[str, Any]]) -> type[Snapshot]:
    """A struct with these fields (name, type) after the key, in this order."""
    made: Any = msgspec.defstruct(
        f"{kind.title()}Snapshot",
        fields,
        bases=(Snapshot,),
        namespace={"kind": kind},
        frozen=True,
        array_like=True,
    )
    found: type[Snapshot] = made
    return found


def fingerprint_of(fields: Iterable[tuple[str, Any]]) -> str:
    """Four characters that change with the name, type or place of any field.

    They lie in each entry of the cache: an entry of another declaration counts as none.
    """
    about = repr([(name, str(kind)) for name, kind in fields]).encode()
    return base64.b85encode(hashlib.blake2b(about, digest_size=3).digest()).decode()
