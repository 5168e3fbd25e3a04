"""Hypers: their defaults, their schema, and what is refused."""

from toys.breakage import appended, breakage, edited, set_value

BREAKAGES = [
    breakage(
        "has_a_default_that_its_schema_refuses",
        set_value("default-hypers.yaml", "model.num_features", 0),
        fails="test_defaults_fit_the_schema",
        says="num_features",
        passes="test_tiny_hypers_fit_the_schema test_every_hyper_is_described[model] "
        "test_package.py::test_package_is_sound",
    ),
    breakage(
        "has_tiny_hypers_that_do_not_exist",
        appended("conformance.py", 'HYPERS["model"]["no_such_hyper"] = 1'),
        fails="test_tiny_hypers_fit_the_schema",
        says="no_such_hyper",
        passes="test_defaults_fit_the_schema test_misspelt_hyper_is_refused[model] "
        "test_package.py::test_package_is_sound",
    ),
    breakage(
        "takes_any_hyper",
        set_value("schema-hypers.json", "properties.model.additionalProperties", True),
        fails="test_misspelt_hyper_is_refused[model]",
        says="DID NOT RAISE",
        passes="test_misspelt_hyper_is_refused[training] test_defaults_fit_the_schema "
        "test_tiny_hypers_fit_the_schema",
    ),
    breakage(
        "does_not_describe_a_hyper",
        set_value("schema-hypers.json", "properties.model.properties.num_features.description", ""),
        fails="test_every_hyper_is_described[model]",
        says="model.num_features has no description",
        passes="test_every_hyper_is_described[training] test_defaults_fit_the_schema "
        "test_misspelt_hyper_is_refused[model]",
    ),
    breakage(
        "has_a_cutoff_that_is_no_length",
        edited("schema-hypers.json", '"unit": "length",', ""),
        fails="test_default_lengths_follow_the_data",
        says="cutoffs in bohr, made angstrom",
        passes="test_defaults_fit_the_schema test_every_hyper_is_described[model]",
    ),
    breakage(
        "has_a_hyper_without_bounds",
        set_value(
            "schema-hypers.json",
            "properties.model.properties.cutoff",
            {"description": "A distance.", "type": "number"},
        ),
        fails="test_every_hyper_is_described[model]",
        says="model.cutoff has no bounds",
        passes="test_every_hyper_is_described[training] test_defaults_fit_the_schema "
        "test_misspelt_hyper_is_refused[model]",
    ),
    breakage(
        "describes_a_hyper_that_has_no_default",
        set_value(
            "schema-hypers.json",
            "properties.model.properties.depth",
            {"description": "Layers.", "type": "integer", "minimum": 1},
        ),
        fails="test_every_hyper_has_a_default",
        says="default-hypers.yaml has no model.depth",
        passes="test_every_hyper_is_described[model] test_defaults_fit_the_schema "
        "test_misspelt_hyper_is_refused[model]",
    ),
    breakage(
        "names_a_finetuning_that_does_not_exist",
        set_value("capabilities.yaml", "finetuning", ["full", "magic"]),
        fails="test_finetuning_methods_can_be_chosen",
        says="names the fine-tuning 'magic', which the schema refuses",
        passes="test_defaults_fit_the_schema test_misspelt_hyper_is_refused[training] "
        "test_package.py::test_package_is_sound",
    ),
    breakage(
        "claims_to_train_in_several_processes",
        set_value("capabilities.yaml", "distributed", True),
        fails="test_distributed_training_can_be_chosen",
        says="says distributed: true, which the schema refuses",
        passes="test_finetuning_methods_can_be_chosen test_defaults_fit_the_schema "
        "test_package.py::test_package_is_sound",
    ),
]
