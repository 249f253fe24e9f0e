"""Looking into LaunchDarkly's flags and segments: what they are, whom they target, what decided.

Pure functions over LaunchDarkly's own JSON, as `feature_store().raw()` gives it or a flag file
holds it. No Django, no SDK, nothing is sent. JSON that is not as documented raises nothing: what
cannot be read is skipped.

`reading.py` turns JSON into values and words, `serving.py` what is given to whom, `clauses.py` says
what a condition has to do with segments, `ways.py` leads from a flag to such conditions,
`targeting.py` finds which flags use a segment of ours, `traps.py` rules that mislead, `deciding.py`
and `explaining.py` the rule behind an answer.
"""
