"""The next release: a copy of this one that declares other fields and brings a migration.

Its users have a country, which rules may test, and its kind no longer has the fields `groups` and `role`,
whose columns and tables stay. So both releases read other snapshots and want other triggers.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.services.processes import ROOT

COPIED = ("config", "users", "featureflags", "templates", "manage.py")
LAST = "0003_drop_plain_tokens"
"""The migration of `users` that both have."""
NEXT = "0004_user_country"

MIGRATION = f'''\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "{LAST}")]
    operations = [
        # A default of the database: the release before knows no such column when it inserts a user.
        migrations.AddField(
            "user", "country", models.CharField(max_length=2, blank=True, default="", db_default="")
        ),
    ]
'''

CHANGES = {
    "users/models.py": [
        (
            "    is_active = models.BooleanField(\n",
            '    country = models.CharField(max_length=2, blank=True, default="", db_default="")\n'
            "    is_active = models.BooleanField(\n",
        )
    ],
    "users/kinds.py": [
        ('    role = Text("role", label=_("Role"))\n', '    country = Text("country")\n'),
        ('    groups = Many("groups__name", label=_("Groups"), loaded_as="group_names")\n', ""),
        ("    Many,\n", ""),
        ('listed = ("role", ', 'listed = ("country", '),
    ],
}
"""For each file: the text before, and the text after."""


def next_release(folder: Path) -> Path:
    """Copy the project into `folder` and change it; the copy's root.

    With what Python has compiled: it is used for the files that stay as they are.
    """
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    for name, changes in CHANGES.items():
        text = (folder / name).read_text()
        for before, after in changes:
            if before not in text:
                raise LookupError(f"{name} no longer has {before!r}")
            text = text.replace(before, after)
        (folder / name).write_text(text)
    (folder / "users" / "migrations" / f"{NEXT}.py").write_text(MIGRATION)
    return folder
