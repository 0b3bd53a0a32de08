"""A collection that can be asked: what is like this, what is the same, what is in it; the map, originality."""
