"""The option ``atomic_baseline``, with the energies of isolated atoms that are shipped."""

import ase.io
import numpy as np
import pytest

from mt_core.examples.copies import EXAMPLES
from mt_shared.contract import read_checkpoint

ISOLATED = {
    atoms[0].symbol: atoms.get_potential_energy()
    for atoms in ase.io.read(EXAMPLES / "ethanol" / "isolated_atoms.xyz", ":")
}
ELEMENTS = ["H", "C", "O"]
COUNTS = {"H": 6, "C": 2, "O": 1}


def composition() -> list[float]:
    """Of H, C and O, as the checkpoint has it."""
    state = read_checkpoint("model.ckpt")["state"]
    return state["baselines.energy.composition"][:, 0].tolist()


def option(values: object) -> tuple[str, str]:
    return ("-r", f"architecture.training.atomic_baseline={{energy: {values}}}")


def mapping(elements: list[str]) -> str:
    return "{" + ", ".join(f"{element}: {ISOLATED[element]}" for element in elements) + "}"


def test_given_energies_are_in_the_checkpoint_to_the_last_digit(workspace, succeed):
    succeed("train", "options.yaml", *option(mapping(ELEMENTS)))
    assert composition() == [ISOLATED[element] for element in ELEMENTS]


def test_elements_that_are_not_named_are_fitted(workspace, succeed, newest_run):
    succeed("train", "options.yaml", *option(mapping(["H", "C"])))
    found = composition()
    assert found[:2] == [ISOLATED["H"], ISOLATED["C"]]
    rows = np.loadtxt(newest_run() / "indices" / "training.txt", dtype=int)
    frames = ase.io.read("ethanol.xyz", ":")
    energies = np.array([frames[row].get_potential_energy() for row in rows])
    rest = energies - sum(COUNTS[element] * ISOLATED[element] for element in ("H", "C"))
    assert found[2] == pytest.approx(rest.mean(), abs=1e-8)


def test_one_number_is_for_all_elements(workspace, succeed):
    succeed("train", "options.yaml", *option(-30.0))
    assert composition() == [-30.0, -30.0, -30.0]


def test_what_is_given_is_what_the_exported_model_starts_from(workspace, succeed):
    """Two trainings of nearly no steps: their models differ by the baselines."""
    nearly_none = "-r architecture.training.learning_rate=1e-30".split()
    scale = ("-r", "architecture.training.scale_targets=false")
    energies = []
    for values in (mapping(ELEMENTS), 0.0):
        succeed("train", "options.yaml", *option(values), *nearly_none, *scale)
        succeed("eval model.pt eval.yaml -o predicted.xyz")
        frames = ase.io.read("predicted.xyz", ":")
        energies.append(np.array([atoms.get_potential_energy() for atoms in frames]))
    expected = sum(number * ISOLATED[element] for element, number in COUNTS.items())
    np.testing.assert_allclose(energies[0] - energies[1], expected, atol=1e-3)


def test_with_a_repulsion_the_other_elements_are_fitted_to_the_rest(workspace, succeed):
    """Atoms near each other have less to be explained by the composition."""
    succeed("train", "options.yaml", *option(mapping(["H", "C"])))
    plain = composition()
    zbl = ("-r", "architecture.model.zbl=true")
    succeed("train", "options.yaml", "-o", "model.pt", *option(mapping(["H", "C"])), *zbl)
    repelled = composition()
    assert repelled[:2] == plain[:2]
    assert repelled[2] < plain[2] - 1e-6
