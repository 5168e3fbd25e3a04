"""What the conformance suite has to know of SOAP-BPNN: hypers that are quick, and nothing else."""

# a model that learns a dozen structures, in a hundredth of the time of the defaults
HYPERS = {
    "model": {
        "soap": {
            "max_angular": 3,
            "max_radial": 3,
            "cutoff": {"radius": 4.0, "width": 0.5},
        },
        "bpnn": {"num_hidden_layers": 1, "num_neurons_per_layer": 8},
    },
    "training": {"learning_rate": 1e-2},
}

NUM_EPOCHS_TO_LEARN = 150
