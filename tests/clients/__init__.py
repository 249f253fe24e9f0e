"""OFREP, asked by OpenFeature's own clients: Python, Node and a browser."""
