"""The cache protocol as a small model, searched exhaustively for small cases.

`machine` has the state and the steps, named as the functions of `featureflags.cache` that they stand
for; `search` goes through all orders of steps and events, breadth first, and returns the shortest order
that breaks a promise; `scenarios` has the small cases, and the rules that can be taken out; `driver`
takes the real store through an order of steps (`test_traces`).

    python -m tests.featureflags.cache.model                    all cases: states and seconds
    python -m tests.featureflags.cache.model RULE               the shortest order without that rule

One entry, one version key, one row, one outbox. A write makes the row's value one larger. A **tick**
stands for two seconds: a version lives for two of them from its lease on. A process may stop after any
of its steps (death and pause), an entry may vanish at any moment (eviction, expiry).

Promises: a read that begins after a write has returned, or after a second tick since any commit (a
foreign write, a writer that died), does not answer an older value; and what is stored would not be
answered, either. Where two Redis are in use, the ticks alone count; and where Redis has lost what it had
acknowledged (an older image, a failover), they count from there on.
"""
