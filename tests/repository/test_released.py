"""What users get: wheels, in an environment that has never seen this repository."""

import re
import sys
from pathlib import Path

import pytest

from distributions import ROOT
from mt_conformance.inputs import SharedFolders, shared_root
from wheels import Environment, build_wheel, clean_environment, release_ours, run

RELEASED = ("mt-core", "mt-soap-bpnn", "mt-conformance")
# options of mt new by the name of the architecture
FORMS = {"my_pairs": [], "quick_pairs": ["--mlip"]}
# of the suite: that form is also what toys are made of, and as such runs the whole every night
TIERS = {"my_pairs": [], "quick_pairs": ["--quick"]}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> SharedFolders:
    """Folders that take long to make, for all workers of pytest-xdist."""
    return SharedFolders(shared_root(tmp_path_factory.getbasetemp()))


@pytest.fixture(scope="session")
def wheelhouse(made_once) -> Path:
    """A folder with the wheels of a release of everything, in the place of an index."""
    return made_once.get("wheelhouse", release_ours)


@pytest.fixture(scope="session")
def released(made_once, wheelhouse) -> Environment:
    """The released set, and beside it a package of each form that ``mt new`` writes."""

    def make(folder: Path) -> None:
        environment = clean_environment(folder / "environment", [*RELEASED, "mt-shared"])
        environment.install(*RELEASED, wheels=wheelhouse)
        for name, options in FORMS.items():
            source = folder / name
            environment.run("mt", "new", name, "--folder", source, *options, where=folder)
            wheel = build_wheel(source, folder / f"wheel of {name}")
            environment.install(str(wheel), wheels=wheelhouse)

    return Environment(made_once.get("released", make) / "environment")


@pytest.fixture
def generated(released) -> Path:
    """The folder with the sources of the packages that ``mt new`` wrote."""
    return released.folder.parent


def test_all_of_ours_comes_from_wheels(released, tmp_path):
    code = "import mt_core, mt_shared, mt_soap_bpnn; print(mt_core, mt_shared, mt_soap_bpnn)"
    shown = released.run("python", "-c", code, where=tmp_path)
    assert shown.count(str(released.folder)) == 3, shown


def test_the_installed_architectures_are_listed(released, tmp_path):
    shown = released.run("mt", "list", where=tmp_path)
    assert re.search(r"^soap_bpnn +stable +\d", shown, re.M), shown
    for name in FORMS:
        assert re.search(rf"^{name} +third-party +0\.1\.0", shown, re.M), shown


def test_the_shipped_example_trains_and_evaluates(released, tmp_path):
    released.run("mt", "example", "ethanol", where=tmp_path)
    small = ["architecture.training.num_epochs=1", "architecture.model.soap.max_angular=1"]
    overrides = [word for override in small for word in ("-r", override)]
    released.run("mt", "train", "options.yaml", *overrides, where=tmp_path)
    shown = released.run("mt", "eval", "model.pt", "eval.yaml", where=tmp_path)
    assert "forces" in shown


@pytest.mark.parametrize("name", FORMS)
def test_a_generated_package_passes_its_own_tests(released, generated, name):
    released.run(
        "python", "-m", "pytest", "-p", "no:cacheprovider", "tests", where=generated / name
    )


@pytest.mark.parametrize("name", FORMS)
def test_a_generated_package_passes_the_suite(released, tmp_path, name):
    # one process: the workers of this pytest are the parallel part
    suite = ("mt", "conformance", name, *TIERS[name], "--", "-n", "0")
    shown = released.run(*suite, where=tmp_path)
    assert re.search(r"\d+ passed", shown), shown
    assert "xfailed" not in shown, shown


def test_the_workflow_proves_wheels_in_a_clean_environment(released, wheelhouse, tmp_path):
    python = released.folder / "bin/python"
    prove = [
        sys.executable,
        ROOT / "scripts/releases/prove_wheels.py",
        "soap_bpnn",
        "--wheels",
        wheelhouse,
    ]
    options = ["--python", python, "--pip-option=--no-index", "--", "-n", "0", "-k", "test_package"]
    shown = run([*prove, *options], where=tmp_path)
    assert "mt_conformance-" in shown
    assert re.search(r"\d+ passed", shown), shown
