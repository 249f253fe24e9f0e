"""Partners: keys other than primary keys, children of other models, proxies, rows that a manager hides."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

IGNORES_CASE = "NOCASE" if "sqlite" in settings.DATABASES["default"]["ENGINE"] else "C"
"""The nearest that both databases have without a collation of our own."""


class Present(models.Manager[Any]):
    """Without those that are gone."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(is_gone=False)


class Partner(models.Model):
    code = models.SlugField(unique=True)
    name = models.CharField(max_length=50, db_collation=IGNORES_CASE)
    is_gone = models.BooleanField(default=False)
    parent = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, to_field="code", related_name="children"
    )
    marks: models.ManyToManyField[Mark, Marking] = models.ManyToManyField("Mark", through="Marking")
    name_length = models.GeneratedField(
        expression=models.functions.Length("name"),
        output_field=models.IntegerField(),
        db_persist=True,
    )

    objects = Present()
    every = models.Manager()

    class Meta:
        base_manager_name = "every"

    def __str__(self) -> str:
        return self.name


class Mark(models.Model):
    """Marks whose manager hides some."""

    text = models.SlugField(unique=True)
    label = models.CharField(max_length=20)
    is_gone = models.BooleanField(default=False)

    objects = Present()
    every = models.Manager()

    def __str__(self) -> str:
        return self.label


class Marking(models.Model):
    """Both of its links point to another column than the key."""

    partner = models.ForeignKey(Partner, to_field="code", on_delete=models.CASCADE)
    mark = models.ForeignKey(Mark, to_field="text", on_delete=models.CASCADE)

    def __str__(self) -> str:
        return f"{self.partner_id}: {self.mark_id}"


class Reseller(Partner):
    """A table of its own beside the partner's."""

    region = models.CharField(max_length=20)
    backup = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="backs_up"
    )

    def __str__(self) -> str:
        return self.region


class TopReseller(Reseller):
    class Meta:
        proxy = True

    def __str__(self) -> str:
        return f"top {self.region}"


class Pass(models.Model):
    """Its key is that of another row, a UUID."""

    person = models.OneToOneField("customers.Person", primary_key=True, on_delete=models.CASCADE)
    colour = models.CharField(max_length=10)
    partner = models.ForeignKey(Reseller, null=True, on_delete=models.SET_NULL)
    key = models.CharField(max_length=10, default="")

    def __str__(self) -> str:
        return self.colour
