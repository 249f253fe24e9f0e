"""`/healthz`, `/readyz` and `/metrics`: for load balancers, operators and Prometheus. No secrets.

Plain views: they must answer while the database is down, which REST framework's authentication
would ask first. `probe_middleware` answers them before any middleware that looks at the
Host header: a probe sends an address.
"""

from __future__ import annotations

import secrets

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from featureflags.cache.compiled_rules import last_ruleset
from featureflags.core.conf import app_settings
from featureflags.core.deadlines import for_flag_checks
from featureflags.core.extras import how_to_install
from featureflags.launchdarkly.status import (
    State,
    connection_status,
)
from featureflags.probes import problems

try:
    from featureflags.metrics import page as metrics_page
except ModuleNotFoundError as error:
    if error.name != "prometheus_client":
        raise
    HAS_METRICS = False  # a project without the extra
else:
    HAS_METRICS = True

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
BEARER = "Bearer "


@never_cache
@require_safe
def health(_request: HttpRequest) -> JsonResponse:
    """`/healthz`: 200 while this process answers at all. Asks no server.

    For the supervisor that restarts processes: a restart repairs nothing that `/readyz` finds.
    """
    return JsonResponse({"status": "ok"})


@for_flag_checks
@never_cache
@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """`/readyz`: 200 if this process can answer flags, 503 if not; the body names what works.

    503 before it has flags, and while the database is down and it has never read the segments.
    Any other failure is only `degraded`: a load balancer that removed every process for it would
    turn a small failure into a big one.
    """
    status = connection_status(start=True)
    parts = problems(status)
    has_flags = status.has_flags or status.state is State.OFF
    has_rules = parts["database"] is None or last_ruleset() is not None
    can_answer = has_flags and has_rules
    verdict = "failing" if not can_answer else "degraded" if any(parts.values()) else "ok"
    body = {
        "status": verdict,
        **{name: {"ok": problem is None, "problem": problem} for name, problem in parts.items()},
    }
    shown = status.to_dict()
    # The page is public: the message may contain an address, and keys of flags are names.
    error = shown.pop("error")
    shown["error"] = None if error is None else error["kind"]
    shown["malformed"] = len(status.malformed)
    body["launchdarkly"] = {**body["launchdarkly"], **shown}  # type: ignore[dict-item]
    return JsonResponse(body, status=200 if can_answer else 503)


@for_flag_checks
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format. For staff, or a bearer of `METRICS_TOKEN`."""
    if not _may_read(request):
        return HttpResponse("Forbidden\n", status=403, content_type="text/plain")
    if not HAS_METRICS:
        text = f"Metrics need a package more: {how_to_install('metrics')}\n"
        return HttpResponse(text, status=501, content_type="text/plain")
    return HttpResponse(metrics_page(), content_type=PROMETHEUS)


def _may_read(request: HttpRequest) -> bool:
    token = app_settings().metrics_token
    given = request.headers.get("Authorization", "")
    if given.startswith(BEARER):
        sent = given.removeprefix(BEARER).encode()
        return bool(token) and secrets.compare_digest(sent, token.encode())
    try:
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))
    except DatabaseError:
        return False
