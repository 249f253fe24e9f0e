"""Snapshots of users, the compiled rules and the version that says which rules are in force.

In: the primary database (rows, the version, the outbox of writes) and a cache that processes share (Redis
or files). Out: the fresh snapshots and the rules for one unit of work, and never an answer that is older
than promised. The steps are in `protocol`, the bytes in `entries`, the two caches in `backends`.

What lies in the cache for one user and for the rules, by name:

    u2:5f0c…     ~ and 8 random bytes                             a lease: a reader is reading the row
    u2:5f0c…     [1764244800000000, 1764158400, ["", "ada@…"]]   an entry: fresh until, epoch, snapshot
    version      12-9f1c2d3e|1764158400                          the rules in force, and the epoch

    read = protocol.read([key])            the version, fresh snapshots, leases for the others
    protocol.fill(read, rows, is_current=…)    compare-and-swap over what `read` has seen
    invalidation.touched("user", [key])    after a write: told when the transaction commits
    invalidation.raise_epoch()             every entry is old
"""
