"""Segments and their members.

A segment is one row: a reader sees all of it or nothing. Every write first locks the single row
of the ruleset version, then validates, then raises the version. Of two people who save at once the
second sees what the first has saved, so that they cannot close a cycle between them, and a write
that is refused leaves the version as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from featureflags.core.conf import app_settings
from featureflags.core.input_gate import LATEST
from featureflags.core.uncached import fresh_rows
from featureflags.models.changesets import MemberState, Place, SegmentState, open_changeset
from featureflags.models.history import HistoryEntry
from featureflags.models.querysets import MemberQuerySet, SegmentQuerySet
from featureflags.models.validation import Graph, StoredRules, store
from featureflags.models.versions import RulesetVersion
from featureflags.segments.definitions import SEGMENT_MATCH, Problem
from featureflags.segments.parsing import load_rules
from featureflags.segments.references import references

KEY = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")
"""What LaunchDarkly accepts as a key."""


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


class Segment(models.Model):
    """A named set of users. Its key is what LaunchDarkly's rules name."""

    key = models.CharField(
        _("key"),
        max_length=100,
        unique=True,
        validators=[RegexValidator(KEY, _("Use letters, digits, dots, dashes and underscores."))],
        help_text=_("What LaunchDarkly rules name. It cannot change once the segment is saved."),
    )
    name = models.CharField(_("name"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("An inactive segment has no members.")
    )
    rules = models.JSONField(
        _("rules"),
        default=list,
        blank=True,
        help_text=_("A user is in the segment if all conditions of any rule hold."),
    )
    version = models.PositiveBigIntegerField(_("version"), default=1, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = SegmentQuerySet["Segment"].as_manager()

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        ordering = ["key"]

    def __str__(self) -> str:
        return self.key

    @classmethod
    def from_db(cls, *args: Any, **options: Any) -> Segment:
        segment = super().from_db(*args, **options)
        segment._stored_key = segment.__dict__.get("key")  # noqa: SLF001 - our own
        return segment

    def clean(self) -> None:
        """Refuse a changed key and invalid rules, each problem by its place.

        The rules are brought into the form that is stored: see `stored_forms`.
        """
        errors: dict[str, Sequence[ValidationError | str]] = {}
        stored = getattr(self, "_stored_key", None)
        if stored is None and not self._state.adding:
            # The row was loaded without its key.
            stored = Segment.objects.values_list("key", flat=True).filter(pk=self.pk).first()
        if stored is not None and stored != self.key:
            errors["key"] = [
                str(_("The key cannot change: LaunchDarkly rules name “%s”.") % stored)
            ]
        stored_rules = self.stored_rules()
        self.rules = stored_rules.raw
        problems = stored_rules.checked.problems_of(self.key, segment_graph(without=self.pk))
        if problems:
            errors["rules"] = [RuleProblem(problem) for problem in problems]
        if errors:
            raise ValidationError(errors)

    def save(self, *args: Any, expected_version: int | None = None, **options: Any) -> None:
        """Validate and write; the ruleset version is raised in the same transaction.

        Raises ValidationError, and StaleSegment if the stored version is not the expected one
        (None: any version). Then nothing is written.
        """
        with open_changeset() as changeset:
            RulesetVersion.lock()
            before = None if self._state.adding else self.stored_state()
            if expected_version is not None and (
                before is None or before.version != expected_version
            ):
                raise StaleSegment(self.key, expected_version)
            with fresh_rows():
                self.full_clean()
            self.version = 1 + (self._last_version() if before is None else before.version)
            if options.get("update_fields") is not None:
                options["update_fields"] = {*options["update_fields"], "version", "updated_at"}
            RulesetVersion.raise_version()
            super().save(*args, **options)
            changeset.remember_segment(self.pk, before)
        self._stored_key: str | None = self.key

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        """As Django's, as one change. Raises ProtectedError if another segment uses it."""
        with open_changeset():
            return super().delete(*args, **options)

    def as_state(self) -> SegmentState:
        """What this object says, whether or not it is saved."""
        return SegmentState(
            key=self.key,
            name=self.name,
            description=self.description,
            is_active=self.is_active,
            rules=self.rules,
            version=self.version,
        )

    def stored_rules(self) -> StoredRules:
        """The rules as they are saved, parsed and checked: once, until they change."""
        found: StoredRules | None = self.__dict__.get("_stored_rules")
        if found is None or not found.are(self.rules):
            found = self.__dict__["_stored_rules"] = store(self.rules)
        return found

    def stored_state(self) -> SegmentState | None:
        """The row as it is in the database now, never from a cache: one query."""
        return Segment.objects.filter(pk=self.pk).states().get(self.pk)

    def _last_version(self) -> int:
        """Of the segment that had this key before: one that is created again goes on counting."""
        changes = HistoryEntry.objects.filter(segment_key=self.key)
        return changes.aggregate(last=models.Max("version"))["last"] or 0

    def refuse_if_named(self) -> None:
        """Raises ProtectedError if another segment's rules name this one: one query."""
        names = self.used_by()
        if names:
            shown = {"key": self.key, "names": ", ".join(names)}
            message = _("The segment “%(key)s” is used by %(names)s.") % shown
            raise ProtectedError(message, set(Segment.objects.filter(key__in=names)))

    def used_by(self) -> list[str]:
        """The keys of the segments whose rules name this one: one query."""
        return sorted(key for key, names in segment_graph().items() if self.key in names)


class SegmentMember(models.Model):
    """A user who is included in a segment, or excluded, regardless of its rules. Included wins."""

    class Kind(models.TextChoices):
        INCLUDE = "include", _("Include")
        EXCLUDE = "exclude", _("Exclude")

    segment = models.ForeignKey(
        Segment, on_delete=models.CASCADE, related_name="members", verbose_name=_("segment")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="segment_members",
        verbose_name=_("user"),
    )
    kind = models.CharField(_("kind"), max_length=7, choices=Kind, default=Kind.INCLUDE)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    expires_at = models.DateTimeField(
        _("expires at"), null=True, blank=True, help_text=_("Empty: until it is removed.")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = MemberQuerySet["SegmentMember"].as_manager()

    class Meta:
        verbose_name = _("segment member")
        verbose_name_plural = _("segment members")
        ordering = ["segment", "kind", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["segment", "user"],
                name="segment_member_once",
                violation_error_message=_("This user is a member of the segment already."),
            )
        ]

    def __str__(self) -> str:
        # The key, not the address: this text ends up in the admin's log.
        return f"{self.segment}: {self.kind} {self.user_id}"

    def clean(self) -> None:
        """Refuse an expiry that has passed already, and more members than rules can hold."""
        if self._state.adding and self.expires_at and self.expires_at <= timezone.now():
            raise ValidationError({"expires_at": _("This moment has passed already.")})
        if self.expires_at and self.expires_at > LATEST:
            raise ValidationError({"expires_at": _("This must lie before the year 9999.")})
        if self._state.adding and self.segment_id is not None:
            limit = app_settings().max_members
            if SegmentMember.objects.filter(segment=self.segment_id).count() >= limit:
                message = _("A segment holds at most %d members: use a rule instead.") % limit
                raise ValidationError(message, code="too_many_members")

    def save(self, *args: Any, **options: Any) -> None:
        """Validate and write, with the ruleset version raised in the same transaction."""
        with open_changeset() as changeset:
            RulesetVersion.lock()
            with fresh_rows():
                self.full_clean()
            changeset.remember_members(self._before())
            RulesetVersion.raise_version()
            super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        """As Django's, as one change."""
        with open_changeset():
            return super().delete(*args, **options)

    def as_state(self) -> MemberState:
        """What this object says, whether or not it is saved."""
        return MemberState(kind=self.kind, reason=self.reason, expires_at=self.expires_at)

    def _before(self) -> dict[Place, MemberState | None]:
        """What is stored of this row, and where it will be."""
        before: dict[Place, MemberState | None] = {(self.segment_id, self.user_id): None}
        if not self._state.adding:
            before |= SegmentMember.objects.filter(pk=self.pk).states()
        return before


def segment_graph(*, without: int | None = None) -> Graph:
    """Which segment names which, over all segments but one: one query, never from a cache."""
    segments = Segment.objects.all() if without is None else Segment.objects.exclude(pk=without)
    with fresh_rows():
        rows = list(segments.values_list("key", "rules"))
    return {key: _named_by(rules) for key, rules in rows}


def _named_by(rules: Any) -> frozenset[str]:
    # Parsing costs more than looking whether there is anything to find, which is rare.
    if SEGMENT_MATCH not in json.dumps(rules):
        return frozenset()
    return references(load_rules(rules)[0])
