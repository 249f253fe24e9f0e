"""Clerks: names that need quotes, fields of every sort, and tables that Django has not made."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.functions import Upper

IS_POSTGRESQL = "postgresql" in settings.DATABASES["default"]["ENGINE"]


class Level(models.TextChoices):
    """Two letters each: no pair of a value and a label."""

    JUNIOR = "jr", "Junior"
    SENIOR = "sr", "Senior"


class Clerk(models.Model):
    name = models.CharField(max_length=20, db_column="Name of {a clerk}")
    level = models.CharField(max_length=2, choices=Level, default=Level.JUNIOR)
    grade = models.IntegerField(null=True)
    is_away = models.BooleanField(null=True)
    loud = models.GeneratedField(
        expression=Upper("name"),
        output_field=models.CharField(max_length=20),
        db_persist=IS_POSTGRESQL,
    )
    friends: models.ManyToManyField[Clerk, Any] = models.ManyToManyField("self")
    rivals: models.ManyToManyField[Clerk, Any] = models.ManyToManyField(
        "self", symmetrical=False, related_name="+"
    )
    notes = GenericRelation("customers.Note")
    shift = models.DurationField(null=True)
    begins = models.TimeField(null=True)
    picture = models.BinaryField(null=True)
    paper = models.FileField(null=True)
    address = models.GenericIPAddressField(null=True)

    class Meta:
        db_table = '"customers_All clerks"'

    def __str__(self) -> str:
        return self.name


class Note(models.Model):
    """Of any row."""

    content_type = models.ForeignKey(ContentType, models.CASCADE, db_constraint=False)
    object_id = models.PositiveIntegerField()
    about = GenericForeignKey("content_type", "object_id")
    text = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.text


class Plot(models.Model):
    """Its key has two columns."""

    pk = models.CompositePrimaryKey("clerk_id", "number")
    clerk = models.ForeignKey(Clerk, on_delete=models.CASCADE, related_name="plots")
    number = models.IntegerField()
    label = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.label


class Total(models.Model):
    """A view: a test creates it."""

    clerk = models.OneToOneField(
        Clerk, models.DO_NOTHING, primary_key=True, related_name="total", db_constraint=False
    )
    number = models.IntegerField()

    class Meta:
        managed = False
        db_table = "customers_total"

    def __str__(self) -> str:
        return str(self.number)


class Account(models.Model):
    """In another schema: a test creates it."""

    clerk = models.OneToOneField(
        Clerk, models.DO_NOTHING, primary_key=True, related_name="account", db_constraint=False
    )
    plan = models.CharField(max_length=10)

    class Meta:
        managed = False
        db_table = 'crm"."accounts'

    def __str__(self) -> str:
        return self.plan


class Visit(models.Model):
    """A table in partitions: a test creates it."""

    clerk = models.ForeignKey(Clerk, models.DO_NOTHING, related_name="visits", db_constraint=False)
    at = models.IntegerField()
    place = models.CharField(max_length=10)

    class Meta:
        managed = False
        db_table = "customers_visit"

    def __str__(self) -> str:
        return self.place


if IS_POSTGRESQL:
    from django.contrib.postgres.fields import ArrayField

    class Badge(models.Model):
        """Texts in one column."""

        clerk = models.OneToOneField(Clerk, models.CASCADE, related_name="badge")
        texts = ArrayField(models.CharField(max_length=20, null=True), null=True)
        numbers = ArrayField(models.IntegerField(), default=list)

        def __str__(self) -> str:
            return str(self.texts)
