"""Many files -> trainable notes: the note store and the loaders that read it."""
