"""The exported file, where it is used: in a process that has nothing of ours."""

import copy
import math

import numpy as np
import pytest
import torch
from metatomic.torch import AtomisticModel
from metatomic.torch.o3 import SymmetrizedModel
from metatomic.torch.weighted_sum import WeightedSum

from mt_conformance.inputs import (
    ATOMIC_TYPES,
    ENERGY,
    Examples,
    LabelledTarget,
    Model,
    Subject,
    abilities,
    edge_cases,
    needs,
)
from mt_conformance.runs import Predictor, Run, Runs, exported_predictor, predictor_of
from mt_conformance.tests.comparing import assert_close

BOTH = (abilities.dtype("float32"), abilities.double_precision)
PRECISIONS = [
    pytest.param(32, marks=needs(*BOTH), id="float32"),
    pytest.param(64, marks=needs(abilities.double_precision), id="float64"),
]


@pytest.fixture(params=PRECISIONS)
def run(request: pytest.FixtureRequest, runs: Runs) -> Run:
    """A trained model, evaluated by ``mt eval`` and in ASE, in each precision."""
    return runs.trained(request.param)


@pytest.fixture
def tolerance(run: Run, subject: Subject) -> float:
    """How closely ASE must agree with ``mt eval``."""
    return subject.tolerances.engine(run.exported().dtype)


def test_runs_without_our_packages(run: Run) -> None:
    """An exported model runs in a process that imported `metatomic_ase` alone.

    IF IT FAILS: the exported file refers to Python code or to an extension that is not beside it;
    what is scripted must not call anything that imports a package of ours.
    """
    ours = run.in_ase()["ours"]
    assert ours == [], f"imported: {ours}"


def test_values_in_ase(run: Run, main: LabelledTarget, tolerance: float) -> None:
    """ASE gives the energies of `mt eval`, or what else the model was trained on.

    IF IT FAILS: does the result depend on the size of the batch, or on edges beyond the cutoff?
    """
    found = np.concatenate([result["values"] for result in run.in_ase()["results"]])
    assert_close(found, run.predicted(main).values, tolerance, f"'{main.name}' in ASE")


@needs(abilities.forces)
def test_forces_in_ase(run: Run, main: LabelledTarget, tolerance: float) -> None:
    """ASE gives the forces of `mt eval`.

    IF IT FAILS: as for the energies; a difference of the forces alone is one of the derivatives.
    """
    found = np.concatenate([result["forces"] for result in run.in_ase()["results"]])
    assert_close(found, run.predicted(main).forces, tolerance, "forces in ASE")


@needs(abilities.stress)
def test_stress_in_ase(run: Run, main: LabelledTarget, tolerance: float) -> None:
    """ASE gives the stress of `mt eval`, for the structures that are periodic.

    IF IT FAILS: as for the forces; look at how the energy depends on the cell.
    """
    found = [result["stress"] for result in run.in_ase()["results"] if "stress" in result]
    assert_close(found, run.predicted(main).stress, tolerance, "stress in ASE")


def test_export_changes_nothing(
    same: float, model: Model, exported: Predictor, examples: Examples
) -> None:
    """The exported file, in TorchScript, predicts what the model in Python predicts.

    IF IT FAILS: the two take different branches: look at `torch.jit.is_scripting()`.
    """
    structures = examples.both()
    module = predictor_of(model)
    for name, output in exported.outputs.items():
        kind = output.sample_kind
        expected = module.values(structures, name, kind)
        found = exported.values(structures, name, kind)
        assert_close(found, expected, same, f"'{name}' after export")


def test_export_leaves_the_model(model: Model) -> None:
    """Exporting leaves the model in Python as it was: same dtype, same training mode.

    IF IT FAILS: export a copy (`copy.deepcopy(self).eval()`).
    """
    # in training mode, which exporting the model itself would end
    copied = copy.deepcopy(model).train()
    copied.export()
    assert copied.training, "export switched the model to evaluation mode"
    before = dict(model.state_dict())
    changed = [
        name
        for name, value in copied.state_dict().items()
        if value.dtype != before[name].dtype or not torch.equal(value, before[name])
    ]
    assert not changed, f"changed by export: {changed[:5]}"


def test_export_says_what_it_is(subject: Subject, exported_model: AtomisticModel) -> None:
    """The exported file names elements, units, range, dtype and references.

    IF IT FAILS: fill `ModelCapabilities` from `dataset_info`, metadata by `__default_metadata__`.
    """
    capabilities = exported_model.capabilities()
    types, unit, dtype = capabilities.atomic_types, capabilities.length_unit, capabilities.dtype
    assert sorted(types) == list(ATOMIC_TYPES), f"atomic types are {types}, not {ATOMIC_TYPES}"
    assert unit == "angstrom", f"the unit of length is '{unit}'; expected angstrom"
    expected = str(subject.dtype).removeprefix("torch.")
    assert dtype == expected, f"the dtype is {dtype}; expected {expected}"
    cutoffs = [options.cutoff for options in exported_model.requested_neighbor_lists()]
    assert capabilities.interaction_range >= max(cutoffs, default=0.0), (
        f"the interaction range is {capabilities.interaction_range}, the cutoffs are {cutoffs}"
    )
    references = exported_model.metadata().references
    assert references["architecture"], "no references under 'architecture'"


@needs(abilities.finite_range)
def test_nothing_is_felt_beyond_the_interaction_range(
    same: float, exported: Predictor, exported_model: AtomisticModel
) -> None:
    """What is further away than the interaction range of the exported model is not felt.

    An engine that divides space among processes gives each of them the atoms within that range.

    IF IT FAILS: override `interaction_range()` of `BaseModel`, or hand `num_interactions` to
    `MLIPModel`: one cutoff for each time that messages are passed. Name what no range holds
    `long_range: true` or `locality: global` in `capabilities.yaml`.
    """
    reach = exported_model.capabilities().interaction_range
    assert math.isfinite(reach), (
        f"interaction_range() is {reach}; expected a number, since capabilities.yaml names neither "
        "long_range nor locality: global"
    )
    claim = f"interaction_range() is {reach:.4g} angstrom"
    check_not_felt(same, exported, reach, claim)


@needs(abilities.local)
def test_a_local_model_sees_one_cutoff(same: float, exported: Predictor) -> None:
    """What `locality: local` promises: an atom sees its neighbors within one cutoff, no others.

    IF IT FAILS: write `locality: message_passing` in `capabilities.yaml`, and let
    `interaction_range()` of the model say how far messages travel.
    """
    cutoff = longest_cutoff(exported)
    claim = f"capabilities.yaml says locality: local, and the cutoff is {cutoff:.4g} angstrom"
    check_not_felt(same, exported, cutoff, claim)


def longest_cutoff(predictor: Predictor) -> float:
    return max((options.cutoff for options in predictor.requested), default=0.0)


def check_not_felt(same: float, predictor: Predictor, reach: float, claim: str) -> None:
    """Along a chain of neighbors longer than the reach, one end does not feel the other."""
    of_atoms = [name for name, one in predictor.outputs.items() if one.sample_kind == "atom"]
    # two atoms meet in the energy of a third one between them
    distance = 1.02 * (reach if of_atoms else 2 * reach) or 1.0
    # a chain, so that messages could travel along it from one end to the other
    cutoff = longest_cutoff(predictor) or distance
    atoms = edge_cases.chain(distance, 0.9 * cutoff, ATOMIC_TYPES)
    first, last = (edge_cases.with_end_moved(atoms, end, 0.05 * cutoff) for end in (0, -1))
    what = f"an atom is felt at {distance:.4g} angstrom, though {claim}"
    for name in of_atoms:
        before, after = (predictor.values([each], name, "atom")[0] for each in (atoms, last))
        assert_close(after, before, same, f"{what}: '{name}' of the other one")
    # without values of atoms: moving one end changes the whole by the same, wherever the other is
    if not of_atoms:
        both = edge_cases.with_end_moved(first, -1, 0.05 * cutoff)
        states = (atoms, first, last, both)
        before, moved, other, all_moved = (predictor.values([each]) for each in states)
        what = f"{what}: change of '{predictor.main}'"
        assert_close(all_moved - moved, other - before, same, what)


def test_atoms_in_one_place_are_refused(exported: Predictor, examples: Examples) -> None:
    """Two atoms in one place stop a simulation with words, instead of energies that are NaN.

    IF IT FAILS: `BaseModel` and the adapter look for it; a `forward` of your own calls
    `mt_shared.data.refuse_coincident_atoms(systems)`.
    """
    (atoms,) = examples.ethanol()
    atoms.positions[1] = atoms.positions[0]
    with pytest.raises(Exception, match="two atoms are in one place"):
        exported.values([atoms])


@pytest.mark.filterwarnings("ignore:SymmetrizedModel is running in float32")
def test_metatomic_averages_over_rotations(
    same: float,
    subject: Subject,
    exported: Predictor,
    exported_model: AtomisticModel,
    examples: Examples,
) -> None:
    """metatomic's `SymmetrizedModel` takes the exported file, and changes nothing where the
    symmetries are exact.

    IF IT FAILS: a model without parameters says its dtype by its first buffer, which must not be
    one of whole numbers; `forward` takes its three arguments by place.
    """
    wrapped = SymmetrizedModel.wrap(exported_model, max_angular_momentum_target=1)
    structures = [examples.ethanol()[0]]
    found = exported_predictor(wrapped).values(structures, exported.main)
    assert torch.isfinite(found).all(), f"the average of '{exported.main}' is {found}"
    if all(abilities.symmetry(name)(subject.capabilities) for name in ("rotation", "inversion")):
        expected = exported.values(structures)
        assert_close(found, expected, same, f"'{exported.main}' on average over rotations")


@needs(abilities.energies)
def test_metatomic_sums_outputs(same: float, model: Model, examples: Examples) -> None:
    """metatomic's `WeightedSum` takes the model that is exported, and gives twice the energy.

    IF IT FAILS: what the model asks for (`requested_neighbor_lists`, `requested_inputs`) must be
    methods of the model itself, which is put into another module here.
    """
    doubled = WeightedSum.wrap(model.export(), "energy/doubled", {ENERGY: 2.0})
    structures = examples.both()
    expected = 2 * predictor_of(model).values(structures, ENERGY, "system")
    found = exported_predictor(doubled).values(structures, "energy/doubled", "system")
    assert_close(found, expected, same, "twice the energy, by metatomic")


@needs(*BOTH)
def test_precisions_agree(subject: Subject, model: Model, examples: Examples) -> None:
    """The same weights predict nearly the same in float32 as in float64.

    IF IT FAILS: some step loses digits, such as a difference of large numbers.
    """
    structures = examples.both()
    expected = predictor_of(model).values(structures)
    found = predictor_of(copy.deepcopy(model).to(torch.float32)).values(structures)
    found, expected = (subject.main.by_atom(each, structures) for each in (found, expected))
    what = f"'{subject.main.name}' by atom in float32"
    assert_close(found, expected, subject.tolerances.precision, what)
