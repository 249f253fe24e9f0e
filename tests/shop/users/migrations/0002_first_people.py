"""The first 51 people of the shop, written long before anybody thought of flags."""

from django.db import migrations


def add(apps, _schema_editor):
    company, user, profile, team, membership = (
        apps.get_model("users", name)
        for name in ("Company", "User", "Profile", "Team", "Membership")
    )
    companies = [
        company.objects.create(name="Acme", seats=80),
        company.objects.create(name="Bolt", seats=8),
        None,
    ]
    support = team.objects.create(name="support")
    for number in range(1, 52):
        username = f"person{number}"
        one = user.objects.create(username=username, email=f"{username}@example.com")
        profile.objects.create(
            user=one,
            plan="pro" if number % 2 == 0 else "free",
            country="DE" if number < 20 else "FR",
            company=companies[number % 3],
        )
        if number % 10 == 0:
            membership.objects.create(team=support, user=one)


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
