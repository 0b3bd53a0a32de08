"""Continuations of held-out prompts beside what the pianists played: choosing, making, scoring, reporting."""
