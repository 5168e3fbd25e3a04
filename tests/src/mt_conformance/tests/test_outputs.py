"""What a model predicts, and how it is labelled."""

import math

import pytest
import torch
from metatensor.torch import Labels

from mt_conformance.inputs import (
    ATOMIC_TYPES,
    ENERGY,
    Examples,
    LabelledTarget,
    Model,
    Subject,
    abilities,
    block_of,
    blocks_of,
    edge_cases,
    needs,
)
from mt_conformance.providing import not_provided
from mt_conformance.runs import Predictor
from mt_conformance.tests.comparing import assert_close
from mt_shared.contract import TargetInfo

Targets = dict[str, TargetInfo]


@pytest.fixture
def targets(model: Model) -> Targets:
    """What the model predicts, features aside."""
    return model.dataset_info.targets


@pytest.fixture
def of_atoms(targets: Targets, predictor: Predictor) -> list[str]:
    """The targets that can be asked for by atom."""
    return [name for name in targets if predictor.outputs[name].sample_kind == "atom"]


def pairs_of(sizes: list[int]) -> list[list[int]]:
    return [[system, atom] for system, size in enumerate(sizes) for atom in range(size)]


def kinds_of(predictor: Predictor, name: str, target: TargetInfo) -> list[str]:
    """By what an output can be asked for: what is declared of atoms is summed up as well."""
    declared = predictor.outputs[name].sample_kind
    if target.per_atom:
        return ["atom"]
    return ["system", "atom"] if declared == "atom" else ["system"]


def test_targets_are_outputs(targets: Targets, predictor: Predictor) -> None:
    """Each target is an output, in the unit of its labels.

    IF IT FAILS: build `supported_outputs()` from `dataset_info.targets`.
    """
    for name, target in targets.items():
        assert name in predictor.outputs, f"no output '{name}' in {sorted(predictor.outputs)}"
        unit = predictor.outputs[name].unit
        assert unit == target.unit, f"'{name}' is in '{unit}'; expected '{target.unit}'"


def test_labels_and_shapes(targets: Targets, predictor: Predictor, examples: Examples) -> None:
    """A target of structures has a row for each of them, one of atoms a row for each atom.

    IF IT FAILS: return a TensorMap of one block with the samples ["system"] or
    ["system", "atom"], no components for a scalar, and `num_subtargets` properties.
    """
    structures = examples.both()
    sizes = [len(atoms) for atoms in structures]
    for name, target in targets.items():
        for kind in kinds_of(predictor, name, target):
            result = predictor.run(structures, {name: kind})
            assert list(result) == [name], f"asked for '{name}', got {list(result)}"
            blocks = blocks_of(target.type)
            found = len(result[name])
            assert found == len(blocks), f"'{name}' has {found} blocks; expected {len(blocks)}"
            names = ["system", "atom"] if kind == "atom" else ["system"]
            rows = pairs_of(sizes) if kind == "atom" else [[i] for i in range(len(sizes))]
            expected = Labels(names, torch.tensor(rows, dtype=torch.int32))
            what = f"'{name}' of {'atoms' if kind == 'atom' else 'structures'}"
            for keys, components in blocks:
                block = block_of(result[name], keys)
                assert block.samples == expected, (
                    f"{what}: samples {block.samples}; expected {expected}"
                )
                assert block.components == components, (
                    f"{what}: components {block.components}; expected {components}"
                )
                columns = block.values.shape[-1]
                assert columns == target.num_subtargets, (
                    f"'{name}' has {columns} properties; expected {target.num_subtargets}"
                )


def test_predictions_depend_on_the_structure(predictor: Predictor, examples: Examples) -> None:
    """Structures of one composition get different values of a target, none of them NaN.

    IF IT FAILS: every other test of predictions is void. Is the output connected to the network?
    """
    # a row for each molecule, of which the atoms are the same
    values = predictor.values(examples.ethanol(3)).reshape(3, -1)
    assert bool(torch.isfinite(values).all()), f"values are not finite: {values.tolist()}"
    spread = float((values.max(0).values - values.min(0).values).max())
    assert spread > 1e-6, f"three distorted molecules have values within {spread:.1e}"


def test_atoms_sum_to_the_structure(
    same: float, targets: Targets, of_atoms: list[str], predictor: Predictor, examples: Examples
) -> None:
    """The values of the atoms add up to the value of their structure.

    IF IT FAILS: sum over all atoms of a system, baselines included, and do not average.
    """
    structures = examples.both()
    sizes = [len(atoms) for atoms in structures]
    # what is declared of atoms is summed up where a structure is asked for
    for name in (name for name in of_atoms if not targets[name].per_atom):
        atomic = predictor.values(structures, name, "atom")
        sums = torch.stack([part.sum(0) for part in atomic.split(sizes)])
        totals = predictor.values(structures, name)
        assert_close(sums, totals, same, f"sum of '{name}' over atoms")


def test_selected_atoms(
    same: float, of_atoms: list[str], predictor: Predictor, examples: Examples
) -> None:
    """With `selected_atoms`, the values of those atoms and no others, unchanged.

    IF IT FAILS: use the whole structures as environment and filter the results, not the input.
    """
    structures = examples.ethanol(3)
    sizes = [len(atoms) for atoms in structures]
    selected = [(0, 1), (0, 4), (1, 0), (2, 3), (2, 8)]
    rows = [pairs_of(sizes).index(list(pair)) for pair in selected]
    for name in of_atoms:
        everything = predictor.values(structures, name, "atom")
        found = predictor.values(structures, name, "atom", selected)
        assert_close(found, everything[rows], same, f"'{name}' of selected atoms")


def test_structures_with_selected_atoms(
    same: float, targets: Targets, of_atoms: list[str], predictor: Predictor, examples: Examples
) -> None:
    """With `selected_atoms`, the value of a structure is the sum over those atoms.

    IF IT FAILS: apply the selection before summing over the atoms of a system.
    """
    structures = examples.ethanol(2)
    selected = [(0, 1), (0, 4), (1, 2)]
    for name in (name for name in of_atoms if not targets[name].per_atom):
        atomic = predictor.values(structures, name, "atom", selected)
        expected = torch.stack([atomic[:2].sum(0), atomic[2]])
        found = predictor.values(structures, name, "system", selected)
        assert_close(found, expected, same, f"'{name}' of structures with selected atoms")


def test_empty_selection(of_atoms: list[str], predictor: Predictor, examples: Examples) -> None:
    """Selecting no atom at all gives no rows, and no error.

    IF IT FAILS: let the code after the selection work on tensors with no rows.
    """
    structures = examples.ethanol(2)
    for name in of_atoms:
        found = predictor.values(structures, name, "atom", [])
        assert len(found) == 0, f"'{name}': {len(found)} rows for an empty selection"


def test_single_atom(main: LabelledTarget, predictor: Predictor) -> None:
    """An atom without neighbors has an energy, or whatever else is predicted.

    IF IT FAILS: let the model work with no edges at all.
    """
    for atomic_number in ATOMIC_TYPES:
        atoms = edge_cases.single_atom(atomic_number)
        values = predictor.values([atoms])
        shape = (1, *main.info.type.components, main.info.num_subtargets)
        assert values.shape == shape, f"'{main.name}' of one atom has the shape {values.shape}"
        assert bool(values.isfinite().all()), f"'{main.name}' of one atom is {values.tolist()}"


@needs(abilities.finite_range)
def test_far_apart_adds_up(
    same: float, main: LabelledTarget, predictor: Predictor, examples: Examples
) -> None:
    """Two molecules and an atom far from each other have the sum of their energies, and each atom
    the value that it has alone.

    IF IT FAILS: is everything zero beyond the cutoff, and nothing normalized by the whole
    structure? If the model is meant to see farther, say so in `capabilities.yaml` (locality).
    """
    first, second = examples.ethanol(2)
    atom = edge_cases.single_atom(8)
    two = edge_cases.far_apart(first, atom)
    three = edge_cases.far_apart(edge_cases.far_apart(atom, first), second)
    whole = [predictor.values([each]) for each in (three, two)]
    of_first, of_second, of_atom = (predictor.values([each]) for each in (first, second, atom))
    expected = [main.joined([of_atom, of_first, of_second]), main.joined([of_first, of_atom])]
    for found, wanted in zip(whole, expected):
        assert_close(found, wanted, same, f"'{main.name}' of parts far apart")


def test_batches_agree(
    same: float, targets: Targets, predictor: Predictor, examples: Examples
) -> None:
    """A structure has the same values alone, among others, and in another order.

    IF IT FAILS: look for an index without its offset, a norm over the batch, a layer in training.
    """
    structures = [*examples.ethanol(2), edge_cases.single_atom(1), *examples.ice(2)]
    for name, target in targets.items():
        kind = "atom" if target.per_atom else "system"
        alone = torch.cat([predictor.values([atoms], name, kind) for atoms in structures])
        together = predictor.values(structures, name, kind)
        assert_close(together, alone, same, f"'{name}' in one batch and one by one")
        # another order as well: an index that is off by one structure may be right in the first
        backwards = predictor.values(structures[::-1], name, kind)
        sizes = [len(atoms) if kind == "atom" else 1 for atoms in structures]
        turned = torch.cat(list(reversed(backwards.split(sizes[::-1]))))
        assert_close(turned, alone, same, f"'{name}' in a batch in reverse order")


@needs(abilities.finite_range)
@pytest.mark.parametrize("directions", [1, 2], ids=["1D", "2D"])
def test_partly_periodic(
    same: float, predictor: Predictor, examples: Examples, directions: int
) -> None:
    """Wires and slabs: as in a cell that is periodic everywhere, with a void in between.

    IF IT FAILS: where it is not periodic, rows of the cell are zero: it has no inverse, no volume.
    """
    partly, fully = edge_cases.in_void(examples.ice()[0], directions)
    expected = predictor.values([fully])
    found = predictor.values([partly])
    what = f"'{predictor.main}' of a partly periodic structure"
    assert_close(found, expected, same, what)


def test_tiny_cell(same: float, main: LabelledTarget, predictor: Predictor) -> None:
    """A cell smaller than the cutoff has an eighth of the energy of its supercell, whose atoms have
    the values that they have in the cell.

    IF IT FAILS: an atom has several edges to the same neighbor, and to its own images: keep each
    edge with its cell shift, and do not identify edges by their two atoms.
    """
    cell = edge_cases.tiny_cell()
    # twice along each vector and three times along one: an atom and its image lie apart in each way
    values = predictor.values([cell])
    for repeats in ((2, 2, 2), (3, 1, 1)):
        found = predictor.values([cell.repeat(repeats)])
        expected = main.joined([values] * math.prod(repeats))
        assert_close(found, expected, same, f"'{main.name}' of supercells")


@needs(abilities.finite_range)
def test_large_cell(same: float, predictor: Predictor, examples: Examples) -> None:
    """A molecule in a huge periodic cell is what it is without a cell.

    IF IT FAILS: neighbors follow from distances, not from the cell: nothing may be divided by the
    volume or laid on a grid of a fixed number of points.
    """
    molecule = examples.ethanol()[0]
    found = predictor.values([edge_cases.in_large_cell(molecule)])
    expected = predictor.values([molecule])
    assert_close(found, expected, same, f"'{predictor.main}' of a molecule in a large cell")


def test_features(
    subject: Subject, targets: Targets, predictor: Predictor, examples: Examples
) -> None:
    """Outputs beside the targets, such as features, have a finite row for each atom.

    IF IT FAILS: label them as other outputs of atoms; outputs of other shapes belong to targets.
    """
    structures = examples.ethanol(2)
    pairs = pairs_of([len(atoms) for atoms in structures])
    others = sorted(set(predictor.outputs) - set(targets))
    if not others:
        not_provided("features, as an output of each atom", subject.name)
    for name in others:
        block = predictor.run(structures, {name: "atom"})[name].block()
        assert block.samples.names == ["system", "atom"], f"'{name}': {block.samples.names}"
        assert block.samples.values.tolist() == pairs, f"'{name}' lacks atoms, or has too many"
        assert block.values.shape[-1] > 0, f"'{name}' has no properties"
        assert bool(torch.isfinite(block.values).all()), f"'{name}' is not finite"


def test_several_outputs_at_once(same: float, predictor: Predictor, examples: Examples) -> None:
    """Everything asked for in one call is what it is when asked for alone.

    IF IT FAILS: does one output change a tensor in place that another one reads?
    """
    structures = examples.ethanol()
    kinds = {
        name: "atom" if output.sample_kind == "atom" and name != ENERGY else "system"
        for name, output in predictor.outputs.items()
    }
    together = predictor.run(structures, kinds)
    assert set(together) == set(kinds), f"asked for {sorted(kinds)}, got {sorted(together)}"
    for name, kind in kinds.items():
        alone = predictor.values(structures, name, kind)
        assert_close(together[name].block().values, alone, same, f"'{name}' among others")
