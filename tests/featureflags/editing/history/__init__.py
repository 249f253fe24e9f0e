"""The history of segments: written, told, restored."""
