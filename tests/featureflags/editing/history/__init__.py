"""The history of segments: written, described, restored."""
