"""A typed client for LaunchDarkly's REST API: what the SDK cannot do, which is to change things.

`client.py` has the calls, `transport.py` sends them, `retrying.py` says which are tried again,
`errors.py` what may be raised. Only this package imports httpx, and it never shows its token.
"""
