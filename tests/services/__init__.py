"""Real servers for the test run: PostgreSQL, Redis, a LaunchDarkly on loopback, and Django itself.

They come from pip packages, run in temporary directories on loopback, and end with the test run.
"""
