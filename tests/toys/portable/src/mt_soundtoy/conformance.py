"""What the conformance suite has to know of soundtoy; its defaults are quick."""

NUM_EPOCHS_TO_LEARN = 300
