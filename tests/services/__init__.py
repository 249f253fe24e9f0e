"""Real servers for the test run: PostgreSQL, Redis, a LaunchDarkly on loopback, and Django itself.

Started from pip packages, in temporary directories, on loopback, and gone when the run ends.
"""
