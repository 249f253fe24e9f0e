"""The tables of the history are named after its entries; a warm-up has a plain name."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("featureflags", "0012_epoch_and_identity")]

    operations = [
        migrations.RenameModel("SegmentChange", "HistoryEntry"),
        migrations.RenameModel("MemberChange", "HistoryMember"),
        migrations.RenameField("HistoryMember", "change", "entry"),
        migrations.AlterField(
            "HistoryMember",
            "entry",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="members",
                to="featureflags.historyentry",
            ),
        ),
        migrations.RenameIndex(
            "HistoryEntry", new_name="history_by_segment", old_name="segment_change_by_key"
        ),
        migrations.RenameIndex(
            "HistoryEntry", new_name="history_by_kind", old_name="segment_change_by_kind"
        ),
        migrations.AlterModelOptions(
            "HistoryEntry",
            options={
                "default_permissions": (),
                "ordering": ["-pk"],
                "verbose_name": "history entry",
                "verbose_name_plural": "history entries",
            },
        ),
        migrations.AlterModelOptions(
            "HistoryMember",
            options={
                "default_permissions": (),
                "ordering": ["pk"],
                "verbose_name": "membership in the history",
                "verbose_name_plural": "memberships in the history",
            },
        ),
        migrations.AlterModelOptions(
            "WarmRun",
            options={
                "ordering": ["-pk"],
                "verbose_name": "cache warm-up",
                "verbose_name_plural": "cache warm-ups",
            },
        ),
    ]
