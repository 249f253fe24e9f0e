"""The wheel, built from this tree, in fresh environments: alone, with each extra, and in another project."""
