"""The outbox has taken the place of pending invalidations."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("featureflags", "0013_history_entries")]

    operations = [migrations.DeleteModel(name="PendingInvalidation")]
