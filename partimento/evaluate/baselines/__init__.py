"""Systems of others beside ours: what goes on where a prompt ends, and what turns performances into vectors."""
