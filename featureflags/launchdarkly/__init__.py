"""The LaunchDarkly SDK: its client, and nothing of ours that is not about it."""
