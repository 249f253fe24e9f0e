"""Logins: when too many wrong passwords lock an account for an address, and the second factor of staff."""

from __future__ import annotations

from datetime import timedelta

from config.settings.environment import env

# Wrong passwords for one account from one address, until both are locked for each other.
LOGIN_FAILURES = env.int("LOGIN_FAILURES", default=10)
LOGIN_LOCK_MINUTES = env.int("LOGIN_LOCK_MINUTES", default=15)
AXES_FAILURE_LIMIT = LOGIN_FAILURES
AXES_COOLOFF_TIME = timedelta(minutes=LOGIN_LOCK_MINUTES)
# Counted in the database, which a login asks anyway: no state of the cache lets anybody guess on.
AXES_HANDLER = "axes.handlers.database.AxesDatabaseHandler"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
# What is tried while locked is not written: the lock ends, and nobody fills the table.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_USERNAME_CALLABLE = "config.logins.account"
AXES_CLIENT_IP_CALLABLE = "featureflags.core.client_address.client_address"
AXES_CLIENT_STR_CALLABLE = "config.logins.who"
AXES_LOCKOUT_CALLABLE = "config.logins.too_many"
AXES_SENSITIVE_PARAMETERS = ["username", "email", "csrfmiddlewaretoken"]

# A second factor for staff: codes of an app on their phone.
STAFF_TOTP = env.bool("STAFF_TOTP", default=False)
OTP_TOTP_ISSUER = "Guidon"
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
