"""A migration's operation for an index on a table that may be large: on PostgreSQL nobody waits for it.

PostgreSQL builds such an index while others read and write. That needs a migration with `atomic = False`.
A build that was interrupted leaves an index that is not valid; it is dropped and built again.
"""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState

_INVALID = """
SELECT 1 FROM pg_index JOIN pg_class ON pg_class.oid = pg_index.indexrelid
WHERE pg_class.relname = %s AND NOT pg_index.indisvalid
"""


class AddIndexWhileInUse(migrations.AddIndex):
    """As AddIndex; on PostgreSQL CONCURRENTLY, and again if an earlier build was interrupted."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if schema_editor.connection.in_atomic_block:
            message = f"The migration that adds the index {self.index.name} needs atomic = False."
            raise ValueError(message)
        drop_if_invalid(schema_editor, self.index.name)
        # Nobody waits behind this one, which itself waits for old transactions: however long they last.
        schema_editor.execute("SET lock_timeout = 0")
        try:
            schema_editor.execute(self.index.create_sql(model, schema_editor, concurrently=True))
        finally:
            schema_editor.execute("RESET lock_timeout")


def drop_if_invalid(schema_editor: BaseDatabaseSchemaEditor, name: str) -> None:
    """Drop what an interrupted build of this index has left on PostgreSQL."""
    if schema_editor.collect_sql:
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_INVALID, [name])
        found = cursor.fetchone()
    if found:
        schema_editor.execute(f"DROP INDEX CONCURRENTLY {schema_editor.quote_name(name)}")
