"""What the conformance suite has to know of soundtoy: its defaults are quick."""
