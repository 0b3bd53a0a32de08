"""What a file is recognised by, and which files are the same performance or piece."""
