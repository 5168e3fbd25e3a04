"""What an architecture's package has to bring along."""

from toys.breakage import (
    appended,
    breakage,
    command,
    edited,
    edited_metadata,
    model,
    removed,
    set_value,
)

BREAKAGES = [
    breakage(
        "has_capabilities_that_do_not_exist",
        set_value("capabilities.yaml", "locality", "nearby"),
        fails="test_package_is_sound",
        says="locality",
        passes="test_expected_failures_name_tests",
    ),
    breakage(
        "exposes_a_foreign_model",
        appended(
            "__init__.py",
            """
            class __model__:
                __checkpoint_version__ = 1
                __default_metadata__ = None
                __supported_devices__ = ["cuda", "cpu"]
                __supported_dtypes__ = ["float32", "float64"]
            """,
        ),
        fails="test_package_loads_by_the_contract",
        says="__model__ is no ModelInterface",
        passes="test_package_is_sound test_people_are_named test_checkpoint_versions_are_counted "
        "test_capabilities_agree_with_the_model",
    ),
    breakage(
        "has_no_maintainer",
        appended("__init__.py", "__maintainers__ = []"),
        fails="test_people_are_named",
        says="__maintainers__ is empty",
        passes="test_package_is_sound test_package_loads_by_the_contract test_references_are_given",
    ),
    breakage(
        "counts_its_checkpoints_from_zero",
        model("__checkpoint_version__ = 0"),
        fails="test_checkpoint_versions_are_counted",
        says="__checkpoint_version__ is 0; expected >= 1",
        passes="test_package_loads_by_the_contract test_references_are_given test_people_are_named",
    ),
    breakage(
        "does_not_say_whose_code_it_is",
        model('__default_metadata__ = ModelMetadata(references={"architecture": ["a paper"]})'),
        fails="test_references_are_given",
        says="no references under 'implementation'",
        passes="test_package_loads_by_the_contract test_people_are_named "
        "test_capabilities_agree_with_the_model",
    ),
    breakage(
        "claims_a_device_it_does_not_support",
        set_value("capabilities.yaml", "devices", ["cuda", "mps", "cpu"]),
        fails="test_capabilities_agree_with_the_model",
        says="capabilities.yaml names the devices ['cuda', 'mps', 'cpu']",
        passes="test_package_loads_by_the_contract test_references_are_given",
    ),
    breakage(
        "expects_a_failure_of_no_test",
        appended("conformance.py", 'EXPECTED_FAILURES = {"test_that_is_not_there": "a reason"}'),
        fails="test_expected_failures_name_tests",
        says="'test_that_is_not_there' is no test of the suite",
        passes="test_package_is_sound test_package_loads_by_the_contract",
    ),
    breakage(
        "says_another_version",
        edited("__about__.py", '"0.1.0"', '"0.2.0"'),
        fails="test_version_is_that_of_the_distribution",
        says="__about__.py says 0.2.0",
        passes="test_package_is_sound test_readme_is_in_the_distribution test_people_are_named",
    ),
    breakage(
        "has_no_readme",
        edited_metadata(r"\n\n.*", "\n"),
        fails="test_readme_is_in_the_distribution",
        says="has no README in its metadata",
        passes="test_package_is_sound test_version_is_that_of_the_distribution "
        "test_people_are_named",
    ),
    breakage(
        "is_called_stable_without_capabilities",
        removed("capabilities.yaml"),
        command(
            "mt_core/architectures/lifecycle.yaml",
            "soap_bpnn:",
            "toy_is_called_stable_without_capabilities: {stage: stable, since: 0.1.0}\nsoap_bpnn:",
        ),
        fails="test_optional_files_are_provided[capabilities.yaml]",
        says="is called stable, and has no capabilities.yaml",
        passes="test_optional_files_are_provided[schema-hypers.json] "
        "test_optional_files_are_provided[conformance.py] test_package_is_sound",
    ),
    breakage(
        "names_a_tolerance_that_does_not_exist",
        appended("conformance.py", 'TOLERANCES = {"sane": 1e-6}'),
        fails="test_conformance_file_is_sound",
        says="conformance.py cannot be used: TypeError",
        passes="test_package_is_sound test_package_loads_by_the_contract test_people_are_named",
    ),
]
