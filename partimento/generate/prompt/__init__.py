"""What a model reads before it plays: prompts and gaps as events, and back to a performance."""
