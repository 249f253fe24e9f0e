"""System checks of this app. Their ids never change meaning; each docstring names them."""

from __future__ import annotations

from featureflags.checks.attributes import check_attributes
from featureflags.checks.configuration import (
    check_addresses,
    check_cache,
    check_flag_file,
    check_middleware,
    check_private_attributes,
    check_sent_attributes,
    check_settings,
    check_syncing,
    check_time_zones,
)
from featureflags.checks.declarations import (
    check_declarations,
    check_forced_flags,
    check_used_flags,
)
from featureflags.checks.greenlets import check_greenlets
from featureflags.checks.kinds import check_kinds
from featureflags.checks.project import (
    check_beat,
    check_context_processors,
    check_database,
    check_extras,
    check_schema,
    check_site_url,
    check_urls,
    check_use_tz,
)
from featureflags.checks.segments import check_segments
from featureflags.checks.servers import check_cache_server, check_isolation

__all__ = [
    "check_addresses",
    "check_attributes",
    "check_beat",
    "check_cache",
    "check_cache_server",
    "check_context_processors",
    "check_database",
    "check_declarations",
    "check_extras",
    "check_flag_file",
    "check_forced_flags",
    "check_greenlets",
    "check_isolation",
    "check_kinds",
    "check_middleware",
    "check_private_attributes",
    "check_schema",
    "check_segments",
    "check_sent_attributes",
    "check_settings",
    "check_site_url",
    "check_syncing",
    "check_time_zones",
    "check_urls",
    "check_use_tz",
    "check_used_flags",
]
