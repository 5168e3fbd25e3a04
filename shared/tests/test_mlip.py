"""Models that give energies and forces alone, and training on structures turned at random."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.neighborlist import neighbor_list
from metatensor.torch import Labels, TensorBlock
from metatomic.torch import ModelMetadata, ModelOutput, System

from mt_shared.contract import Cartesian, DatasetInfo, TargetInfo
from mt_shared.data import (
    BatchTarget,
    Dataset,
    Graph,
    Normalization,
    Structures,
    TargetLabels,
    build_store,
    offsets_from_counts,
)
from mt_shared.engine import random_rotations, rotate
from mt_shared.engine.loss import Loss, loss_terms
from mt_shared.engine.prediction import predict
from mt_shared.errors import DataError
from mt_shared.mlip import MLIPModel, MLIPTrainer
from mt_shared.model.base import LAST_LAYER

CUTOFF = 2.5
ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions", "strain"))
OTHER = TargetInfo(quantity="energy", unit="eV")
INFO = DatasetInfo("angstrom", (1, 6, 8), {"energy": ENERGY})
BOTH = DatasetInfo("angstrom", (1, 6, 8), {"energy": ENERGY, "mtt::other": OTHER})


def spring_energies(charges, stretch, centers, neighbors):
    """Half of q_i q_j (r_c - r_ij)^2 of each pair, for each of its atoms, (A,)."""
    pairs = 0.5 * charges[centers] * charges[neighbors] * stretch**2
    return torch.zeros_like(charges).index_add(0, centers, pairs)


class Springs(MLIPModel):
    """An energy of each atom."""

    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata()

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info, cutoff=CUTOFF)
        self.charges = torch.nn.Embedding(self.num_species, 1)

    def energies(self, graph: Graph):
        charges = self.charges(graph.species)[:, 0]
        stretch = self.cutoff - torch.linalg.vector_norm(graph.vectors, dim=1)
        return spring_energies(charges, stretch, graph.centers, graph.neighbors)


class Whole(MLIPModel):
    """The same energy, of each structure."""

    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata()

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info, cutoff=CUTOFF, atomic_energies=False)
        self.charges = torch.nn.Embedding(self.num_species, 1)

    def energies(self, graph: Graph):
        charges = self.charges(graph.species)[:, 0]
        stretch = self.cutoff - torch.linalg.vector_norm(graph.vectors, dim=1)
        atomic = spring_energies(charges, stretch, graph.centers, graph.neighbors)
        totals = torch.zeros(len(graph.num_atoms), dtype=atomic.dtype)
        return totals.index_add(0, graph.system, atomic)


class Featured(MLIPModel):
    """Features of each atom, from which the shared heads make energies."""

    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata()

    def __init__(self, hypers, dataset_info):
        super().__init__(
            hypers, dataset_info, cutoff=CUTOFF, num_features=4, num_interactions=2
        )  # fmt: skip
        self.embedding = torch.nn.Embedding(self.num_species, 4)

    def atomic_features(self, graph: Graph):
        stretch = self.cutoff - torch.linalg.vector_norm(graph.vectors, dim=1, keepdim=True)
        features = self.embedding(graph.species)
        messages = features[graph.neighbors] * stretch**2
        return features.index_add(0, graph.centers, messages)


def make(cls, info=INFO):
    torch.manual_seed(0)
    return cls({}, info).to(torch.float64).eval()


def frames():
    """Molecules of different sizes, the first two of two of the types alone."""
    found = [molecule("H2O"), molecule("H2O2"), molecule("CH3CH2OH")]
    for seed, frame in enumerate(found):
        frame.rattle(0.1, seed=seed)
    return found


def system_of(model, frame):
    centers, neighbors, shifts, vectors = neighbor_list("ijSD", frame, CUTOFF)
    names = ["first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]
    samples = np.column_stack([centers, neighbors, shifts]).astype(np.int32)
    system = System(
        types=torch.tensor(frame.numbers, dtype=torch.int32),
        positions=torch.tensor(frame.positions),
        cell=torch.zeros(3, 3, dtype=torch.float64),
        pbc=torch.zeros(3, dtype=torch.bool),
    )
    block = TensorBlock(
        values=torch.tensor(vectors).unsqueeze(2),
        samples=Labels(names, torch.from_numpy(samples)),
        components=[Labels.range("xyz", 3)],
        properties=Labels.range("distance", 1),
    )
    system.add_neighbor_list(model.neighbor_list, block)
    return system


def outputs_of(model, names, kind="system", atoms=None, network=None):
    """What an engine gets, as arrays."""
    systems = [system_of(model, frame) for frame in frames()]
    wanted = {name: ModelOutput(sample_kind=kind) for name in names}
    results = (network or model)(systems, wanted, atoms)
    return {name: result.block().values.detach() for name, result in results.items()}


def energies_of(model, kind="system", **more):
    return outputs_of(model, ["energy"], kind, **more)["energy"]


def random_batch(info=INFO):
    """The molecules, periodic in large boxes, with labels at random."""
    generator = np.random.default_rng(0)
    atoms = frames()
    num_atoms = sum(map(len, atoms))
    structures = Structures(
        positions=np.concatenate([frame.positions for frame in atoms]),
        types=np.concatenate([frame.numbers for frame in atoms]).astype(np.int32),
        cells=np.stack([np.diag([9.0, 10.0, 11.0])] * len(atoms)),
        pbc=np.ones((len(atoms), 3), dtype=bool),
        offsets=offsets_from_counts([len(frame) for frame in atoms]),
    )
    gradients = {
        "positions": generator.normal(size=(num_atoms, 3)),
        "strain": generator.normal(size=(len(atoms), 3, 3)),
    }
    labels = TargetLabels(generator.normal(size=(len(atoms), 1)), gradients, unit="eV")
    dataset = Dataset(structures, {"energy": labels}, np.arange(len(atoms)), "frames()")
    nothing = Normalization(np.zeros((3, 1)), 1.0)
    known = {"energy": nothing}
    store = build_store([dataset], info, CUTOFF, known, torch.float64, True, True)
    return store.batch(torch.arange(len(atoms)))


def energies_by_hand(model):
    """Of the springs in each molecule."""
    totals = []
    for frame in frames():
        species = model.type_to_species[torch.tensor(frame.numbers)]
        charges = model.charges(species)[:, 0].detach().numpy()
        i, j, distances = neighbor_list("ijd", frame, CUTOFF)
        totals.append([0.5 * (charges[i] * charges[j] * (CUTOFF - distances) ** 2).sum()])
    return torch.tensor(np.array(totals))


class TestEnergies:
    @pytest.mark.parametrize("cls", [Springs, Whole])
    def test_energies_of_structures_are_those_of_the_function(self, cls):
        model = make(cls)
        torch.testing.assert_close(energies_of(model), energies_by_hand(model))

    def test_energies_of_atoms_are_those_of_the_function(self):
        model = make(Springs)
        atomic = energies_of(model, "atom")
        sizes = [len(frame) for frame in frames()]
        sums = torch.stack([part.sum(0) for part in atomic.split(sizes)])
        torch.testing.assert_close(sums, energies_by_hand(model))

    @pytest.mark.parametrize("cls", [Springs, Whole, Featured])
    def test_scale_and_composition_are_added(self, cls):
        model = make(cls)
        before = energies_of(model)
        model.baselines["energy"].scale.fill_(2.0)
        model.baselines["energy"].composition.copy_(torch.tensor([[1.0], [10.0], [100.0]]))
        counts = torch.tensor([[102.0], [202.0], [126.0]], dtype=torch.float64)
        torch.testing.assert_close(energies_of(model), 2 * before + counts)

    @pytest.mark.parametrize("cls", [Springs, Whole, Featured])
    def test_script_and_python_agree(self, cls):
        model = make(cls)
        script = torch.jit.script(model)
        torch.testing.assert_close(energies_of(model, network=script), energies_of(model))

    @pytest.mark.parametrize("scripted", [False, True])
    def test_atoms_in_one_place_are_refused(self, scripted):
        """Here the energy is finite, and its derivative is not: nobody would see it."""
        model = make(Springs)
        frame = molecule("H2O")
        frame.positions[2] = frame.positions[1]
        network = torch.jit.script(model) if scripted else model
        with pytest.raises((ValueError, torch.jit.Error), match="two atoms are in one place"):
            network([system_of(model, frame)], {"energy": ModelOutput()}, None)

    @pytest.mark.parametrize("cls", [Springs, Whole, Featured])
    def test_forces_and_stress_are_there_in_training(self, cls):
        gradients = predict(make(cls), random_batch(), training=True)["energy"].gradients
        assert gradients["positions"].abs().max() > 0
        assert gradients["strain"].abs().max() > 0

    def test_forces_and_stress_are_zero_where_an_energy_depends_on_nothing(self):
        class Nothing(Springs):
            def energies(self, graph: Graph):
                return graph.vectors.new_zeros(len(graph.species))

        batch = random_batch()
        gradients = predict(make(Nothing), batch, training=True)["energy"].gradients
        for name, label in batch.targets["energy"].gradients.items():
            assert torch.equal(gradients[name], torch.zeros_like(label))

    def test_an_energy_of_structures_cannot_be_asked_for_by_atom(self):
        model = make(Whole)
        assert model.outputs["energy"].sample_kind == "system"
        selected = Labels(["system", "atom"], torch.tensor([[0, 0]], dtype=torch.int32))
        with pytest.raises(ValueError, match="no atoms can be selected"):
            energies_of(model, atoms=selected)

    def test_range_of_interaction_is_a_cutoff_for_each_layer(self):
        assert make(Springs).interaction_range() == CUTOFF
        assert make(Featured).interaction_range() == 2 * CUTOFF


class TestTargets:
    def test_features_serve_several_energies(self):
        model = make(Featured, BOTH)
        before = outputs_of(model, BOTH.targets)
        with torch.no_grad():
            model.heads["mtt::other"].linear.weight.mul_(2.0)
        after = outputs_of(model, BOTH.targets)
        assert torch.equal(after["energy"], before["energy"])
        torch.testing.assert_close(after["mtt::other"], 2 * before["mtt::other"])

    def test_features_are_outputs(self):
        model = make(Featured, BOTH)
        names = ["feature", *(LAST_LAYER.format(name) for name in BOTH.targets)]
        found = outputs_of(model, names, "atom")
        assert all(values.shape == (16, 4) for values in found.values())

    def test_a_model_with_one_energy_names_it_when_a_second_is_asked_for(self):
        with pytest.raises(DataError, match=r"one energy, 'energy'.*'mtt::other'"):
            make(Springs, BOTH)

    @pytest.mark.parametrize("cls", [Springs, Featured])
    @pytest.mark.parametrize(
        "target",
        [
            TargetInfo(),
            TargetInfo(sample_kind="atom"),
            TargetInfo(quantity="energy", unit="eV", sample_kind="atom"),
        ],
        ids=["no energy", "of atoms", "energy of atoms"],
    )
    def test_what_is_no_energy_of_a_structure_is_refused_by_name(self, cls, target):
        with pytest.raises(DataError, match=r"'mtt::charge' is no energy of a structure"):
            make(cls, DatasetInfo("angstrom", (1, 6, 8), {"mtt::charge": target}))

    def test_a_new_energy_leaves_the_old_one_as_it_was(self):
        model = make(Featured)
        before = energies_of(model)
        restarted = model.restart(BOTH).to(torch.float64)
        assert set(restarted.heads) == set(BOTH.targets)
        assert torch.equal(energies_of(restarted), before)


@pytest.mark.parametrize("cls", [Springs, Whole, Featured])
def test_restart_with_new_types_keeps_the_old_energies(cls):
    model = make(cls)
    before = energies_of(model)
    extended = model.restart(DatasetInfo("angstrom", (1, 3, 7), {})).eval()
    assert extended.atomic_types == [1, 3, 6, 7, 8]
    torch.testing.assert_close(energies_of(extended), before)


def rotations(number):
    return random_rotations(number, torch.Generator().manual_seed(0))


class TestRotations:
    def test_each_is_orthogonal_and_none_a_reflection(self):
        found = rotations(100)
        ones = torch.eye(3, dtype=torch.float64).expand(100, 3, 3)
        torch.testing.assert_close(found @ found.transpose(1, 2), ones)
        torch.testing.assert_close(torch.linalg.det(found), torch.ones(100, dtype=torch.float64))

    def test_they_are_uniform(self):
        """By the moments of matrix elements, and of the trace, which small angles would raise."""
        found = rotations(20_000)
        assert found.mean(0).abs().max() < 0.02
        assert (found.square().mean(0) - 1 / 3).abs().max() < 0.02
        # 1 + 2 cos(angle), whose square has the mean 1 over all rotations
        traces = found.diagonal(dim1=1, dim2=2).sum(1)
        assert abs(float(traces.mean())) < 0.03
        assert abs(float(traces.square().mean()) - 1) < 0.05

    def test_a_batch_is_turned_with_its_labels(self):
        """The edges stay the differences of positions and cells, the loss stays what it was."""
        batch = random_batch()
        turned = rotate(batch, rotations(batch.num_systems), INFO)
        assert not torch.allclose(turned.graph.vectors, batch.graph.vectors)
        graph = turned.graph
        inside = graph.positions[graph.neighbors] - graph.positions[graph.centers]
        same_cell = (batch.graph.vectors.norm(dim=1) - inside.norm(dim=1)).abs() < 1e-9
        assert same_cell.any()
        torch.testing.assert_close(turned.graph.vectors[same_cell], inside[same_cell])
        loss = Loss(loss_terms("mse", INFO.targets))
        before, after = (
            loss(predict(make(Featured), each, training=True), each) for each in (batch, turned)
        )
        torch.testing.assert_close(after, before)

    def test_gradients_and_stress_of_an_invariant_model_turn_along(self):
        batch, matrices = random_batch(), rotations(3)
        before, after = (
            predict(make(Featured), each, training=False)["energy"]
            for each in (batch, rotate(batch, matrices, INFO))
        )
        torch.testing.assert_close(after.values, before.values)
        by_atom = matrices[batch.graph.system]
        expected = torch.einsum("aij,aj->ai", by_atom, before.gradients["positions"])
        torch.testing.assert_close(after.gradients["positions"], expected)
        expected = matrices @ before.gradients["strain"] @ matrices.transpose(1, 2)
        torch.testing.assert_close(after.gradients["strain"], expected)

    def test_vectors_of_structures_and_atoms_turn_along(self):
        """Labels and inputs."""
        batch, matrices = random_batch(), rotations(3)
        vector = TargetInfo(type=Cartesian(1), num_subtargets=2)
        of_atoms = replace(vector, sample_kind="atom")
        values, field = torch.rand(3, 3, 2).double(), torch.rand(16, 3, 2).double()
        label = BatchTarget(False, values, {}, {"": True})
        batch = replace(
            batch,
            graph=batch.graph._replace(inputs={"mtt::field": field}),
            targets={"mtt::dipole": label},
        )
        info = DatasetInfo("angstrom", (1, 6, 8), {"mtt::dipole": vector}, {"mtt::field": of_atoms})
        found = rotate(batch, matrices, info)
        expected = torch.einsum("sij,sjp->sip", matrices, values)
        torch.testing.assert_close(found.targets["mtt::dipole"].values, expected)
        expected = torch.einsum("aij,ajp->aip", matrices[batch.graph.system], field)
        torch.testing.assert_close(found.graph.inputs["mtt::field"], expected)

    def test_a_cell_turns_with_its_structure(self):
        batch, matrices = random_batch(), rotations(3)
        cells = rotate(batch, matrices, INFO).graph.cells
        torch.testing.assert_close(cells, batch.graph.cells @ matrices.transpose(1, 2))

    def test_the_trainer_turns_only_what_wants_to_be_turned(self):
        class Turning(MLIPTrainer):
            augment_with_rotations: ClassVar[bool] = True

        batch = random_batch()

        def turned(cls, seed):
            trainer = cls({})
            trainer.info = INFO
            return trainer.transform(batch, torch.Generator().manual_seed(seed))

        plain, first, again, other = (
            turned(cls, seed)
            for cls, seed in ((MLIPTrainer, 1), (Turning, 1), (Turning, 1), (Turning, 2))
        )
        assert plain is batch
        assert torch.equal(first.graph.vectors, again.graph.vectors)
        assert not torch.allclose(first.graph.vectors, batch.graph.vectors)
        assert not torch.allclose(first.graph.vectors, other.graph.vectors)
