"""Why a segment is not saved."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from featureflags.segments.definitions import Problem


class StaleSegment(ValidationError):
    """Somebody else saved or deleted the segment after the caller read it."""

    def __init__(self, key: str, expected_version: int) -> None:
        message = _("The segment “%(key)s” was changed in the meantime. Look at it again.")
        super().__init__(message % {"key": key}, code="stale")
        self.key = key
        self.expected_version = expected_version


class RuleProblem(ValidationError):
    """One problem of a segment's rules, with its place."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem), code=problem.code)
        self.problem = problem
