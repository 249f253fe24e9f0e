"""A process of one release that writes users as its code does, by the lines of JSON that it reads.

    python writer.py         # in the folder of the release
    ["<key>", "role", "admin", "update"]

Answers `done` once the write has returned. `team` is the membership of the group of that name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import django

sys.path.insert(0, str(Path.cwd()))
django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.contrib.auth.models import Group

from users.models import User

print("ready", flush=True)
for line in sys.stdin:
    key, field, value, how = json.loads(line)
    if field == "team":
        user, group = User.objects.get(pk=key), Group.objects.get(name="team")
        (user.groups.add if value else user.groups.remove)(group)
    elif how == "update":
        User.objects.filter(pk=key).update(**{field: value})
    else:
        user = User.objects.get(pk=key)
        setattr(user, field, value)
        user.save(update_fields=[field])
    print("done", flush=True)
