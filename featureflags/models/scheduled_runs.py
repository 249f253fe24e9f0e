"""When the tasks of the schedule last ran, where no Celery beat keeps that."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class ScheduledRun(models.Model):
    """When a task of the schedule last ran, where no beat keeps that."""

    name = models.CharField(max_length=100, unique=True)
    last_run_at = models.DateTimeField()

    class Meta:
        verbose_name = _("scheduled run")

    def __str__(self) -> str:
        return self.name
