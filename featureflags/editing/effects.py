"""What rows get of each flag before a change and after, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.audience.parts import SampleUser
from featureflags.core.types import JSONValue
from featureflags.kinds.registry import kind_or_user


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """Rows that get one value before, and another one after."""

    before: str
    after: str
    count: int
    people: tuple[SampleUser, ...]

    @property
    def more(self) -> str:
        """How many there are beside the examples."""
        left = self.count - len(self.people)
        return _("and %s more") % f"{left:,}" if self.people and left > 0 else ""

    def to_dict(self) -> dict[str, JSONValue]:
        return {"before": self.before, "after": self.after, "count": self.count}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagEffect:
    """What changes of one flag, the most frequent first."""

    flag: str
    changes: tuple[ValueChange, ...]
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagEffects:
    """What changes of each flag for the rows that were asked about."""

    kind: str
    """Of these rows."""
    flags: tuple[FlagEffect, ...]
    asked: int
    """How many rows the numbers are about."""
    is_all: bool
    """False: they are a sample, or the time was up."""
    left_out: int = 0
    """Flags that were not asked for."""
    belonging: tuple[FlagEffects, ...] = ()
    """The same for rows of other kinds that belong to these, as users do to an organization."""
    above: str = ""
    """The kind of the rows that move, where these only belong to them."""

    @property
    def words(self) -> str:
        """What the numbers are about."""
        if self.above:
            return self._words_of_belonging
        if self.is_all:
            text = ngettext(
                "The one who moves was asked about.",
                "All %s who move were asked about.",
                self.asked,
            )
            text = text if self.asked == 1 else text % f"{self.asked:,}"
        else:
            text = _("A sample of those who move: %s of them. The numbers are of the sample.")
            text %= f"{self.asked:,}"
        if self.left_out:
            text += " " + _("%d more flags were left out.") % self.left_out
        return text

    @property
    def _words_of_belonging(self) -> str:
        shown = {
            "rows": kind_or_user(self.kind).plural,
            "above": kind_or_user(self.above).plural,
            "count": f"{self.asked:,}",
        }
        if self.is_all:
            text = _(
                "All %(count)s %(rows)s that belong to these %(above)s were asked about, together with them."
            )
        else:
            text = _(
                "A sample of the %(rows)s that belong to these %(above)s was asked about, together with them:"
                " %(count)s. The numbers are of the sample."
            )
        return text % shown

    @property
    def all_parts(self) -> tuple[FlagEffects, ...]:
        """These, and those of the rows that belong to them."""
        return (self, *self.belonging)

    @property
    def lines(self) -> list[str]:
        """For a terminal: each flag with what changes, and what the numbers are about."""
        of = f" ({kind_or_user(self.kind).plural})" if self.above else ""
        changes = [
            f"{each.flag}{of}: {change.before} → {change.after}: {change.count:,}"
            for each in self.flags
            for change in each.changes
        ]
        below = [line for each in self.belonging for line in each.lines]
        return [*changes, self.words, *below] if changes else below

    def to_dict(self) -> dict[str, JSONValue]:
        flags: list[JSONValue] = [
            {
                "flag": each.flag,
                "changes": [change.to_dict() for change in each.changes],
                "unchanged": each.unchanged,
            }
            for each in self.flags
        ]
        below: list[JSONValue] = [each.to_dict() for each in self.belonging]
        counted: dict[str, JSONValue] = {
            "kind": self.kind,
            "asked": self.asked,
            "all": self.is_all,
            "flags": flags,
        }
        return counted if self.above else {**counted, "belonging": below}
