import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import featureflags.models.drafts


class Migration(migrations.Migration):
    dependencies = [
        ("featureflags", "0022_about_segments"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="SegmentDraft",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "token",
                    models.CharField(
                        default=featureflags.models.drafts.random_token, max_length=43, unique=True
                    ),
                ),
                (
                    "segment_key",
                    models.CharField(blank=True, max_length=100, verbose_name="segment"),
                ),
                ("state", models.JSONField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "expires_at",
                    models.DateTimeField(
                        db_index=True, default=featureflags.models.drafts.end_of_draft
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "draft of a segment",
                "verbose_name_plural": "drafts of segments",
                "default_permissions": (),
            },
        ),
    ]
