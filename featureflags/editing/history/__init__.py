"""What happened to segments: written with every change, told in words, restored."""
