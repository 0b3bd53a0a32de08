"""What verbs share: how arguments become options, what several of them have, what they show on the way."""
