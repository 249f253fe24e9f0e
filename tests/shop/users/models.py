"""The people of the shop: a user model with a username and an integer key, and what belongs to it."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class Company(models.Model):
    name = models.CharField(max_length=100, unique=True)
    seats = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name_plural = "companies"

    def __str__(self):
        return self.name


class User(AbstractUser):
    """A customer or a member of staff."""


class Profile(models.Model):
    class Plan(models.TextChoices):
        FREE = "free", "Free"
        PRO = "pro", "Pro"

    user = models.OneToOneField(User, models.CASCADE, related_name="profile")
    plan = models.CharField(max_length=10, choices=Plan, default=Plan.FREE)
    country = models.CharField(max_length=2, blank=True)
    company = models.ForeignKey(Company, models.SET_NULL, null=True, blank=True)

    def __str__(self):
        return f"{self.user}: {self.plan}"


class Team(models.Model):
    name = models.CharField(max_length=50, unique=True)
    people = models.ManyToManyField(User, through="Membership", related_name="teams")

    def __str__(self):
        return self.name


class Membership(models.Model):
    """Who is in which team, and as what."""

    team = models.ForeignKey(Team, models.CASCADE)
    user = models.ForeignKey(User, models.CASCADE)
    role = models.CharField(max_length=20, default="member")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="once_in_a_team")]

    def __str__(self):
        return f"{self.user} in {self.team}"
