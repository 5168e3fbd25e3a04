"""What the conformance suite has to know of GAP: hypers that are quick, and nothing else."""

# a fit of a dozen structures in a fraction of a second
HYPERS = {
    "model": {
        "soap": {
            "cutoff": {"radius": 4.0},
            "basis": {"max_angular": 3, "radial": {"max_radial": 3}},
        },
        "krr": {"num_sparse_points": 60, "num_directions": 2},
    },
}
