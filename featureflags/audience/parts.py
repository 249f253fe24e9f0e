"""What a change moves, in numbers: all users, those who match, enter and leave, each with examples."""

from __future__ import annotations

from dataclasses import dataclass

from featureflags.audience.intervals import Estimate
from featureflags.models.changesets import Moved


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleUser:
    """A user, or a row of another kind, as an example. The page must check whether it may show more than the key."""

    key: str
    title: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the users: at least how many, whether that is all, and a few examples."""

    at_least: int
    is_exact: bool
    samples: tuple[SampleUser, ...] = ()
    estimate: Estimate | None = None
    """Of a part that is not exact, if there is a sample of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What one segment would be, compared with what it is."""

    key: str
    users: Part
    """All users, without examples."""
    matching: Part
    entering: Part
    leaving: Part

    @property
    def is_exact(self) -> bool:
        """True if all numbers are final; if not, time was up and each is a lower bound."""
        return self.users.is_exact

    @property
    def share(self) -> float | None:
        """Of all users, from 0 to 1; None if it is not known. An estimate's share is about right."""
        estimate = self.matching.estimate
        if not self.is_exact and estimate is None:
            return None
        matching = self.matching.at_least if estimate is None else estimate.about
        return matching / self.users.at_least if self.users.at_least else 0.0

    @property
    def moved(self) -> Moved:
        """The numbers alone."""
        return Moved(
            entering=self.entering.at_least,
            leaving=self.leaving.at_least,
            at_least=not self.is_exact,
        )
