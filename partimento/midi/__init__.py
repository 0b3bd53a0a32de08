"""MIDI bytes -> notes: the `Performance` type, the reader, the writer and the piano-roll picture."""
