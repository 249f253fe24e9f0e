"""Two releases of Guidon beside each other: the upgrade and the rollback that the docs describe."""
