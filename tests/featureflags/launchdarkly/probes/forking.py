"""Forks under load: `python -m tests.featureflags.launchdarkly.probes.forking COUNT [os|process]`.

Each child must find no client, make its own, see a live change, and close it. Writes one line for
each child, `ok` or what went wrong, and ends with 0 if all were right. A child that hangs is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable

from featureflags.launchdarkly.client import close, current_clients
from tests.featureflags.launchdarkly.probes import facade_value, loading, value
from tests.services.waiting import wait_until

CHILD_SECONDS = 60
AT_ONCE = 3


def child(number: int) -> None:
    """Raises if this process is not as alive as its parent."""
    if current_clients(start=False) is not None:
        raise RuntimeError("the client of the parent")
    first = value("counter", f"child-{number}")
    if not isinstance(first, int):
        raise TypeError(f"no value: {first!r}")
    wait_until(lambda: value("counter") != first, timeout=CHILD_SECONDS / 2, what="a live change")
    seen = facade_value("counter")
    if not isinstance(seen, int) or seen <= first:
        raise TypeError(f"an old value, or none, of the facade: {seen!r} after {first}")


def child_of_os(number: int) -> None:
    """Ends with `os._exit`, as gunicorn's arbiter and Celery's pool end theirs."""
    signal.alarm(CHILD_SECONDS)
    code = 1
    try:
        child(number)
        close()
        code = 0
    except BaseException as error:  # noqa: BLE001 - printed, and never passed on into the parent's code
        print(f"child {number}: {error!r}", flush=True)
    finally:
        os._exit(code)


def child_of_multiprocessing(number: int) -> None:
    """Ends as `multiprocessing` ends it: nobody closes the client but we ourselves."""
    signal.alarm(CHILD_SECONDS)
    child(number)


def fork_by_os(number: int) -> Callable[[], int]:
    pid = os.fork()
    if pid == 0:
        child_of_os(number)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fork_by_multiprocessing(number: int) -> Callable[[], int]:
    process = multiprocessing.get_context("fork").Process(
        target=child_of_multiprocessing, args=(number,)
    )
    process.start()

    def wait() -> int:
        process.join()
        return process.exitcode or 0

    return wait


FORKS = {"os": fork_by_os, "process": fork_by_multiprocessing}


def main(count: int, way: str) -> int:
    value("counter")
    loading(lambda: facade_value("counter"))
    failures = 0
    for start in range(0, count, AT_ONCE):
        waits = []
        for number in range(start, min(start + AT_ONCE, count)):
            waits.append(FORKS[way](number))
            # Not in step with the load, which pauses while Python forks.
            time.sleep(0.001 * (number % 7))
        for wait in waits:
            code = wait()
            print("ok" if code == 0 else f"failed with {code}", flush=True)
            failures += code != 0
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
