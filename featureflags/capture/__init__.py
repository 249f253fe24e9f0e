"""Change capture: the database itself notices which cached entries a write has made old.

In: the watches that follow from the kinds, as data. Out: rows in the outbox, which triggers
write in the transaction of each write, by whatever way it is made; and what the connections of this
process have written, of which the cache is notified right after their commit.

>>> from featureflags.capture.watches import declared_watches
>>> names, links, groups = declared_watches()
>>> names.table, names.columns[:2], names.start
('users_user', ('email', 'email_verified'), 'id')
>>> groups.table, groups.columns  # each user of a renamed group changes, by way of the links
('auth_group', ('name',))
>>> groups.path
(Hop(table='users_user_groups', match='group_id', take='user_id'),)

`installation` installs, checks and removes the triggers (`manage.py capture_triggers`). `listeners` hear
what each connection writes, and `own_writes` holds it until the commit. Triggers need PostgreSQL with
psycopg 3, or SQLite; on another database the application itself must call `listeners.note` and
`note_rules`, as `without_triggers` does.
"""

from __future__ import annotations

__all__ = ["installation", "listeners", "own_writes", "watches", "without_triggers"]
