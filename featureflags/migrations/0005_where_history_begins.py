"""Each existing segment gets an entry, so that its state can be shown and restored."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SOURCE = "migrate"
NOTE = "As it was when the history began."


def begin(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    # Later migrations rename both.
    segment_change, member_change = (
        apps.get_model("featureflags", name) for name in ("SegmentChange", "MemberChange")
    )
    changes = segment_change.objects
    members = apps.get_model("featureflags", "SegmentMember").objects
    for segment in apps.get_model("featureflags", "Segment").objects.order_by("key"):
        if changes.filter(segment_key=segment.key).exists():
            continue
        change = changes.create(
            segment_key=segment.key,
            kind="created",
            version=segment.version,
            source=SOURCE,
            note=NOTE,
            after={
                "key": segment.key,
                "version": segment.version,
                "name": segment.name,
                "description": segment.description,
                "isActive": segment.is_active,
                "rules": segment.rules,
            },
        )
        member_change.objects.bulk_create(
            member_change(
                change=change,
                user_id=member.user_id,
                kind_after=member.kind,
                reason_after=member.reason,
                expires_after=member.expires_at,
            )
            for member in members.filter(segment_id=segment.pk).order_by("pk").iterator()
        )


class Migration(migrations.Migration):
    dependencies = [("featureflags", "0004_history")]

    operations = [migrations.RunPython(begin, migrations.RunPython.noop)]
