"""Callers of the REST API, as for users."""

from __future__ import annotations

from tests.featureflags.api.checked import (
    every_answer_is_documented as every_answer_is_documented,
)
from tests.users.api.conftest import by_key as by_key
from tests.users.api.conftest import by_session as by_session
