"""Customers with a profile, a company, orders, tags and teams: every sort of relation."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from tests.customers import clerks, partners  # noqa: F401 - their tables


class Company(models.Model):
    name = models.CharField(max_length=100)
    seats = models.PositiveIntegerField(default=1)
    revenue = models.FloatField(null=True)
    discount = models.DecimalField(max_digits=6, decimal_places=2, null=True)
    founded = models.DateField(null=True)

    class Meta:
        verbose_name_plural = "companies"

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Team(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Group(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Customer(models.Model):
    username = models.CharField(max_length=50, unique=True)
    email = models.EmailField(blank=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now)
    is_active = models.BooleanField(default=True)
    last_login = models.DateTimeField(null=True)
    metadata = models.JSONField(default=dict)
    groups = models.ManyToManyField(Group)
    tags = models.ManyToManyField(Tag)
    teams = models.ManyToManyField(Team, through="Membership")

    def __str__(self) -> str:
        return self.username


class Person(models.Model):
    """As a customer, with a UUID."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    username = models.CharField(max_length=50, unique=True)
    email = models.EmailField(blank=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now)
    is_active = models.BooleanField(default=True)
    last_login = models.DateTimeField(null=True)
    metadata = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.username


class Membership(models.Model):
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    team = models.ForeignKey(Team, on_delete=models.CASCADE)
    since = models.DateField(null=True)

    def __str__(self) -> str:
        return f"{self.customer_id} in {self.team_id}"


class Profile(models.Model):
    customer = models.OneToOneField(Customer, on_delete=models.CASCADE)
    plan = models.CharField(max_length=10, choices=[("free", "Free"), ("pro", "Professional")])
    country = models.CharField(max_length=2, blank=True)
    company = models.ForeignKey(Company, null=True, on_delete=models.SET_NULL)

    def __str__(self) -> str:
        return self.plan


class Order(models.Model):
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="orders")
    placed_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=10, default="open")

    def __str__(self) -> str:
        return self.state


class Device(models.Model):
    """Keys that are texts, in any case and script."""

    serial = models.CharField(primary_key=True, max_length=50)
    label = models.CharField(max_length=50, blank=True)

    def __str__(self) -> str:
        return self.serial


class Seat(models.Model):
    """A composite key, which no kind can have."""

    pk = models.CompositePrimaryKey("row", "number")
    row = models.IntegerField()
    number = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.row}/{self.number}"
