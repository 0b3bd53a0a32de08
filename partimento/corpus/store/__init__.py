"""Notes as memory-mapped columns in shards: planned, built, read, published."""
