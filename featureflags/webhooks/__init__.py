"""Webhooks: sending what was announced, and noticing what nobody writes here.

In: rows of `WebhookDelivery`, which `Webhook.objects.announce` writes in the transaction of the change.
Out: signed requests to public addresses, and in each row its attempts. The form is that of
https://www.standardwebhooks.com, so that any of its libraries verifies it.

    queue.send_due()           one attempt at each delivery that is due
    queue.repeat(deliveries)   send these once more
    observing.observe()        announce flags whose targeting changed, and outages
    mail.send_due()            send the e-mails that are due

>>> from featureflags.webhooks.signatures import signature
>>> signature("whsec_c2VjcmV0", "8a2c", 1767225600, '{"type":"webhook.test"}')
'v1,I3FIK+tpNBuxxRpLXalAd5QZvC0F3bNEZasrltAFE24='
"""

from __future__ import annotations

__all__ = ["mail", "observing", "queue", "signatures"]
