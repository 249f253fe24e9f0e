"""Change capture: the database itself notices which cached entries a write has made old.

In: the project's watches (`FEATUREFLAGS["WATCHES"]`), as data. Out: rows in the outbox, written by
triggers in the transaction of each write, whoever makes it; and what the connections of this process
have written, which the cache is told of right after their commit.

    # config/watches.py
    WATCHES = (
        Watch.own("user", User, ["email", "name", "role"]),
        *Watch.of_relation("user", User, "groups", ["name"]),
    )

    manage.py capture_triggers --check      # or --sql, --install, --remove

Public: `watches.Watch` and `watches.Hop`; `installation.install`, `remove`, `problems`, `statements`
and `self_test`; `own_writes.written`, `note`, `note_rules` and `listen`. PostgreSQL with psycopg 3,
and SQLite; on another database `note` and `note_rules` are all there is.
"""
