"""How good is it: baselines to stand beside, and measures of what the models do."""
