"""What holds for the tree as a whole, read from its source."""
