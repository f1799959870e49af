"""A press that a person works."""
