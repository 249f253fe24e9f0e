"""Users with related rows and their organizations, compared with users alone and with the raw SDK.

    python -m tests.benchmarks.kinds [--json FILE]

Runs on the servers of `checks`, on one core. The users are those of `tests.customers`, with integer keys.
"""

from __future__ import annotations

import sys

from tests.benchmarks.checks import main

if __name__ == "__main__":
    sys.exit(main(__doc__ or "", "kinds_measured"))
