"""What the conformance suite has to know of my_network: hypers that are quick."""

HYPERS = {
    "model": {"cutoff": 4.0, "num_features": 32, "num_radial": 16},
    "training": {"learning_rate": 1e-2},
}
