"""A note store -> batches of tokens, the same for the same seed and resumable to the sample."""
