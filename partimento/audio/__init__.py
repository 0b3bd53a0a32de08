"""Notes -> sound: the piano's recordings, how notes and pedal become samples, and sound files."""
