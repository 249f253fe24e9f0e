"""The first 15 orders."""

from django.db import migrations


def add(apps, _schema_editor):
    user, order = apps.get_model("users", "User"), apps.get_model("orders", "Order")
    for one in user.objects.order_by("pk")[:5]:
        for total in (10, 20, 30):
            order.objects.create(customer=one, total=total)


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_initial"), ("users", "0002_first_people")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
