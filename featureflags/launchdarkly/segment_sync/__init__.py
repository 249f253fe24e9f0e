"""Keeps one LaunchDarkly segment for each active segment here, so that it can be picked by name.

The segment there has the same key and a single rule: the attribute `segments` is one of [KEY].
`planning.py` says what is to be done, without a call; `applying.py` asks and does it. Only what
carries our tag is ever touched.
"""
