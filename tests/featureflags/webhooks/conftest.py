"""A receiver on loopback, which the setting allows here, and a webhook that leads to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from featureflags.models import Webhook
from tests.featureflags.api.using import use
from tests.featureflags.webhooks.receiver import Receiver, receiving


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    use(settings, WEBHOOK_PRIVATE_ADDRESSES=True)
    with receiving() as found:
        yield found


@pytest.fixture
def hook(receiver: Receiver) -> Webhook:
    return Webhook.objects.create(name="chat", url=receiver.url)
