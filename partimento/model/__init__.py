"""Tokens to logits: configuration, the one transformer, its initial values, and models as files."""
