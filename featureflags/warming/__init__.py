"""Puts the snapshots of many users into the cache before anybody asks.

One core for the command `warm_contexts`, the nightly task and Celery: a run is cut into ranges of
the users' key (`planning`), whoever works on it claims one after another (`claims`), and a range
is read, compared and written in batches (`batches`). What stands in the cache and is good stays.
"""
