"""Segments.

A segment is one row: a reader sees all of it or nothing. Every write first locks the single row
of the ruleset version, then validates, then raises the version. Of two people who save at once the
second sees what the first has saved, so that they cannot close a cycle between them, and a write
that is refused leaves the version as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import ProtectedError
from django.utils.translation import gettext_lazy as _

from featureflags.core.uncached import fresh_rows
from featureflags.kinds.registry import USER, kind_named, kinds
from featureflags.models.changesets import SegmentState, open_changeset
from featureflags.models.history import HistoryEntry
from featureflags.models.querysets import SegmentQuerySet
from featureflags.models.refusals import RuleProblem, StaleSegment
from featureflags.models.stored_forms import in_tag_form
from featureflags.models.validation import CheckedRules, Graph, StoredRules, store
from featureflags.models.versions import RulesetVersion
from featureflags.segments.definitions import SEGMENT_MATCH, Problem
from featureflags.segments.parsing import load_rules
from featureflags.segments.references import references

KEY = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")
"""What LaunchDarkly accepts as a key."""


class Segment(models.Model):
    """A named set of users. Its key is what LaunchDarkly's rules name."""

    key = models.CharField(
        _("key"),
        max_length=100,
        unique=True,
        validators=[RegexValidator(KEY, _("Use letters, digits, dots, dashes and underscores."))],
        help_text=_("What LaunchDarkly rules name. It cannot change once the segment is saved."),
    )
    kind = models.CharField(
        _("kind"),
        max_length=100,
        default=USER,
        # Of the database too: a release before it inserts segments while both serve.
        db_default=USER,
        help_text=_("Whose rows are in it. It cannot change once the segment is saved."),
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
    tags = models.JSONField(
        _("tags"),
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
        help_text=_("Words to find it by, such as a team or a campaign."),
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("owner"),
        help_text=_("Who answers for it."),
    )
    is_archived = models.BooleanField(
        _("archived"),
        default=False,
        db_default=False,
        help_text=_("An archived segment is not active, and lists leave it out."),
    )
    salt = models.CharField(
        _("salt"),
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "With the key it decides whom the percentage of a rule takes. Another salt takes others."
        ),
    )
    version = models.PositiveBigIntegerField(_("version"), default=1, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = SegmentQuerySet["Segment"].as_manager()

    known_graph: Graph | None = None
    """As `segment_graph` reads it, for segments that are deleted together."""

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        ordering = ["key"]

    def __str__(self) -> str:
        return self.key

    @classmethod
    def from_db(cls, *args: Any, **options: Any) -> Segment:
        segment = super().from_db(*args, **options)
        segment.remember_stored()
        return segment

    def remember_stored(self) -> None:
        """What is stored of it now, where it was loaded with it: neither may change."""
        self._stored_key: str | None = self.__dict__.get("key")
        self._stored_kind: str | None = self.__dict__.get("kind")

    def clean(self) -> None:
        self.refuse_invalid()

    def refuse_invalid(self, others: Graph | None = None) -> None:
        """Refuse a changed key and invalid rules, each problem by its place.

        The rules are brought into the form that is stored: see `stored_forms`. `others`: which segment of its
        kind names which; None: as they are stored.
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
        if (why := self._refused_kind()) is not None:
            errors["kind"] = [why]
        try:
            self.tags = in_tag_form(self.tags)
        except ValidationError as error:
            errors["tags"] = error.error_list
        if self.is_archived and self.is_active:
            errors["is_active"] = [str(_("It is archived: take it out of the archive first."))]
        stored_rules = self.stored_rules()
        self.rules = stored_rules.raw
        if others is None:
            problems = problems_now(self.key, stored_rules.checked, without=self.pk)
        else:
            problems = stored_rules.checked.problems_of(self.key, others)
        if problems:
            errors["rules"] = [RuleProblem(problem) for problem in problems]
        if errors:
            raise ValidationError(errors)

    def _refused_kind(self) -> str | None:
        stored = getattr(self, "_stored_kind", None)
        if stored is not None and stored != self.kind:
            return str(_("The kind cannot change: the segment is on “%s”.") % stored)
        if kind_named(self.kind) is None:
            known = ", ".join(kind.name for kind in kinds())
            message = _("There is no kind “%(kind)s”. The kinds are: %(known)s.")
            return str(message % {"kind": self.kind, "known": known})
        return None

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
        self.remember_stored()

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        """As Django's, as one change. Raises ProtectedError if another segment uses it."""
        with open_changeset():
            return super().delete(*args, **options)

    def as_state(self) -> SegmentState:
        """What this object says, whether or not it is saved."""
        return SegmentState(
            key=self.key,
            kind=self.kind,
            name=self.name,
            description=self.description,
            is_active=self.is_active,
            rules=self.rules,
            version=self.version,
            tags=tuple(self.tags),
            owner="" if self.owner_id is None else str(self.owner_id),
            is_archived=self.is_archived,
            salt=self.salt,
        )

    def stored_rules(self) -> StoredRules:
        """The rules as they are saved, parsed and checked: once, until they change."""
        found: StoredRules | None = self.__dict__.get("_stored_rules")
        if found is None or not found.are(self.rules, self.kind):
            found = self.__dict__["_stored_rules"] = store(self.rules, self.kind)
        return found

    def stored_state(self) -> SegmentState | None:
        """The row as it is in the database now, never from a cache: one query."""
        return Segment.objects.filter(pk=self.pk).states().get(self.pk)

    def _last_version(self) -> int:
        """Of the segment that had this key before: one that is created again goes on counting."""
        changes = HistoryEntry.objects.filter(segment_key=self.key)
        return changes.aggregate(last=models.Max("version"))["last"] or 0

    def refuse_if_named(self) -> None:
        """Raises ProtectedError if another segment's rules name this one: one query, or none."""
        names = self.used_by()
        if names:
            shown = {"key": self.key, "names": ", ".join(names)}
            message = _("The segment “%(key)s” is used by %(names)s.") % shown
            raise ProtectedError(message, set(Segment.objects.filter(key__in=names)))

    def used_by(self) -> list[str]:
        """The keys of the segments whose rules name this one: one query, which reads those that hold its key;
        none with `known_graph`."""
        graph = self.known_graph
        if graph is None:
            graph = _graph_of(Segment.objects.filter(rules__icontains=json.dumps(self.key)))
        return sorted(key for key, names in graph.items() if self.key in names)


def problems_now(key: str, checked: CheckedRules, *, without: int | None = None) -> list[Problem]:
    """All problems of these rules as those of segment `key`, beside the segments that are stored now.

    `without`: the primary key of that segment. A query for each step from one segment to those that it names.
    """
    below = references(checked.rules)
    return checked.problems_of(key, segment_graph(without=without, kind=checked.kind, below=below))


def segment_graph(
    *, without: int | None = None, kind: str | None = None, below: Collection[str] | None = None
) -> Graph:
    """Which segment names which, over all segments of a kind (None: of all kinds) but one.

    `below`: over these alone and those that they lead to, so that a save of one does not read all. One
    query, or with `below` one for each step; never from a cache.
    """
    segments = Segment.objects.all() if without is None else Segment.objects.exclude(pk=without)
    segments = segments if kind is None else segments.filter(kind=kind)
    if below is None:
        return _graph_of(segments)
    found: dict[str, frozenset[str]] = {}
    asked, wanted = set[str](), set(below)
    while wanted:
        step = _graph_of(segments.filter(key__in=wanted))
        found |= step
        asked |= wanted
        wanted = {name for names in step.values() for name in names} - asked
    return found


def _graph_of(segments: models.QuerySet[Segment]) -> dict[str, frozenset[str]]:
    with fresh_rows():
        rows = list(segments.values_list("key", "rules", "kind"))
    return {key: _named_by(rules, of) for key, rules, of in rows}


def _named_by(rules: Any, kind: str) -> frozenset[str]:
    # Parsing costs more than looking whether there is anything to find, which is rare.
    if SEGMENT_MATCH not in json.dumps(rules):
        return frozenset()
    return references(load_rules(rules, kind)[0])
