from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("featureflags", "0023_segment_drafts"),
    ]

    operations = [
        migrations.AddField(
            model_name="segment",
            name="salt",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text=(
                    "With the key it decides whom the percentage of a rule takes. Another salt takes"
                    " others."
                ),
                max_length=255,
                verbose_name="salt",
            ),
        ),
    ]
