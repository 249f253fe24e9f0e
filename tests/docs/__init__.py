"""The documentation is true: each fence of it is run, and what it names is there."""
