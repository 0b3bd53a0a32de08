"""The map of a collection."""
