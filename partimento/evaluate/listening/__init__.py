"""A listening test: clips that people compare by ear, their votes, and what the votes show."""
