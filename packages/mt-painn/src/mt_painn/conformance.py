"""What the conformance suite has to know of PaiNN: hypers that are quick, and nothing else."""

HYPERS = {
    "model": {"cutoff": 4.0, "num_features": 16, "num_radial": 8, "num_layers": 2},
    "training": {"learning_rate": 1e-2},
}

# A training at this learning rate is chaotic. After 200 epochs its error was below what the suite
# asks for with atoms in one order, and 4 % above it with atoms in another.
NUM_EPOCHS_TO_LEARN = 300
