"""Which token comes next: rules, sampling, search, endings, loops."""
