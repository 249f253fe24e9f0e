from django.db import migrations, models

from featureflags.core.index_operations import AddIndexWhileInUse


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("featureflags", "0025_planned_changes"),
    ]

    operations = [
        AddIndexWhileInUse(
            model_name="historyentry",
            index=models.Index(
                condition=models.Q(("is_emergency", True)),
                fields=["at"],
                name="history_emergencies",
            ),
        ),
    ]
