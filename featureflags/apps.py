"""The app `featureflags`."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.core.signals import setting_changed
from django.utils.translation import gettext, ngettext

from featureflags.core import i18n
from featureflags.core.site_calendar import use_zone


class FeatureFlagsConfig(AppConfig):
    name = "featureflags"
    verbose_name = "Feature flags"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Receivers and checks register themselves when imported, after the models.
        from featureflags import checks, preload, receivers  # noqa: F401, PLC0415
        from featureflags.cache import celery_units, invalidation  # noqa: PLC0415
        from featureflags.capture import receivers as capture  # noqa: PLC0415
        from featureflags.checks import greenlets  # noqa: PLC0415
        from featureflags.core import forks, sqlite_deadlines, uncached  # noqa: PLC0415
        from featureflags.evaluation import tracing  # noqa: PLC0415
        from featureflags.kinds import segmentation  # noqa: PLC0415
        from featureflags.launchdarkly import celery_shutdown  # noqa: PLC0415

        i18n.translate_with(gettext, ngettext)
        use_zone(settings.TIME_ZONE)
        setting_changed.connect(_use_zone_again, dispatch_uid="featureflags.apps")
        segmentation.register("featureflags.audience.querysets.Resolver")
        sqlite_deadlines.listen()
        capture.connect()
        invalidation.listen()
        celery_units.connect()
        celery_shutdown.connect()
        forks.register()
        uncached.forget_transactions_that_never_began()
        greenlets.log_greenlets()
        tracing.configure()
        preload.preload()


def _use_zone_again(*, setting: str, **_kwargs: object) -> None:
    if setting == "TIME_ZONE":
        use_zone(settings.TIME_ZONE)
