"""What the conformance suite has to know of PaiNN: hypers that are quick, and nothing else."""

HYPERS = {
    "model": {"cutoff": 4.0, "num_features": 16, "num_radial": 8, "num_layers": 2},
    "training": {"learning_rate": 1e-2},
}
