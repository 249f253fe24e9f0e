"""The outbox has taken the place of pending invalidations."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("featureflags", "0012_epoch_and_identity")]

    operations = [migrations.DeleteModel(name="PendingInvalidation")]
