"""Every operation of the schema, asked by schemathesis as each caller."""
