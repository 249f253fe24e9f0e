"""Django's PostgreSQL, with deadlines on the client's side: `ENGINE = "featureflags.core.postgresql"`."""
