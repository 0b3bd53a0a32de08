"""The server of a listening test: what listeners are asked and told."""
