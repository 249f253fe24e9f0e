"""Proofs that the servers of the test run do what the tests rely on."""
