"""Corpus and model to trained model: one loop, an objective per file, recipes that say everything a run depends on."""
