"""A collection of files: search, the map, originality."""
