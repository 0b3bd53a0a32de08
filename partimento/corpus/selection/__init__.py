"""A survey and a recipe -> which files are kept, their splits, and a report."""
