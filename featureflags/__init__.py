"""LaunchDarkly contexts, segments and flags for Django. `featureflags.evaluation` is the facade."""
