"""A live partner on a MIDI port: it listens, is handed over to, answers in time, and can be interrupted."""
