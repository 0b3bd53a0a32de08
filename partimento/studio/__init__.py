"""The studio: music made while one listens, for a web page and for whoever speaks its protocol (docs/studio.md)."""
