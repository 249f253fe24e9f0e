"""An app as a project has one: its own users with integer keys, and what belongs to them."""
