"""What the conformance suite has to know of my_network."""

# what differs from the defaults, so that the suite is quick: a model that learns a few structures
HYPERS = {
    "model": {"cutoff": 4.0, "num_features": 32, "num_radial": 16},
    "training": {"learning_rate": 1e-2},
}

# where the suite is too strict for your model, with the reason as a comment
TOLERANCES: dict[str, float] = {}

# name of a test: reason
EXPECTED_FAILURES: dict[str, str] = {}
