"""The first people of the shop: 36 rows, written long before anybody thought of flags."""

from django.db import migrations

NAMES = "ada bea cyd dan eva fay gil hal ida jim kay leo mia ned".split()


def add(apps, _schema_editor):
    company, user, profile, team, membership = (
        apps.get_model("users", name)
        for name in ("Company", "User", "Profile", "Team", "Membership")
    )
    acme = company.objects.create(name="Acme", seats=80)
    bolt = company.objects.create(name="Bolt", seats=8)
    users = [
        user.objects.create(username=name, email=f"{name}@example.com", first_name=name.title())
        for name in NAMES
    ]
    for number, one in enumerate(users):
        profile.objects.create(
            user=one,
            plan="pro" if number % 2 == 0 else "free",
            country="DE" if number < 7 else "FR",
            company=[acme, bolt, None][number % 3],
        )
    support = team.objects.create(name="support")
    for one in users[:5]:
        membership.objects.create(team=support, user=one)


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
