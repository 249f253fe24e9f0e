"""The users, their queryset and their snapshots. This app knows nothing of feature flags."""
