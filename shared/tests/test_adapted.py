"""A model that only has ``forward(systems, outputs, selected_atoms)``, in the shared engine."""

# the annotations that metatomic wants of a forward
# ruff: noqa: UP006, UP035, UP045

import copy
from dataclasses import replace
from typing import ClassVar, Dict, List, Optional

import numpy as np
import pytest
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)

from mt_shared.contract import (
    Cartesian,
    DatasetInfo,
    ModelInterface,
    TargetInfo,
    read_checkpoint,
)
from mt_shared.data import (
    Dataset,
    Normalization,
    Structures,
    TargetLabels,
    add_neighbor_lists,
    offsets_from_counts,
    strained_systems,
    systems_from,
)
from mt_shared.engine import Trainer, set_baseline, store_for
from mt_shared.errors import ArchitectureError, CheckpointError, DataError
from mt_shared.mlip import MLIPModel
from mt_shared.model import AdaptedModel, adapted_class, differentiable, energy_gradients

ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions", "strain"))
OF_ATOM = TargetInfo(sample_kind="atom", num_subtargets=2)
INFO = DatasetInfo("angstrom", (1, 8), {"energy": ENERGY, "mtt::of_atom": OF_ATOM})
CHARGE = TargetInfo(quantity="charge", unit="e")
CPU = torch.device("cpu")

BY_TYPE = {1: -1.0, 8: -100.0}
COMPOSITION = Normalization(np.array([[-1.0], [-100.0]]), scale=3.0)

FULL = NeighborListOptions(cutoff=3.0, full_list=True, strict=True)
SMALL_HALF = NeighborListOptions(cutoff=2.2, full_list=False, strict=True)


class Pairs(ModelInterface[dict]):
    """What an author writes: sums over the neighbors of each list, and a layer for each target."""

    __checkpoint_version__ = 1
    __supported_devices__: ClassVar = ["cpu"]
    __supported_dtypes__: ClassVar = [torch.float64, torch.float32]
    __default_metadata__ = ModelMetadata(name="pairs")
    lists = (FULL,)

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info, self.__default_metadata__)
        self.embedding = torch.nn.Embedding(20, 3)
        self.mix = torch.nn.Linear(3, 3)
        self.last = torch.nn.ModuleDict()
        self.add_layers()

    def add_layers(self):
        for name, target in self.dataset_info.targets.items():
            if name not in self.last:
                self.last[name] = torch.nn.Linear(3, target.num_subtargets)

    def requested_neighbor_lists(self):
        return list(self.lists)

    def supported_outputs(self):
        units = {name: target.unit for name, target in self.dataset_info.targets.items()}
        return {name: ModelOutput(unit=units[name], sample_kind="atom") for name in self.last}

    def features(self, system):
        embedded = self.embedding(system.types)
        # anything that depends on the place in the cell, too
        total = embedded * torch.sin(system.positions).sum(1, keepdim=True)
        for options in self.lists:
            block = system.get_neighbor_list(options)
            first, second = block.samples.values[:, :2].T.long()
            weight = torch.exp(-(block.values[:, :, 0] ** 2).sum(1, keepdim=True))
            total = total.index_add(0, first, embedded[second] * weight)
            if not options.full_list:
                total = total.index_add(0, second, embedded[first] * weight)
        if "charge" in self.dataset_info.inputs:
            total = total * system.get_data("charge").block().values
        return torch.tanh(self.mix(total))

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        features = torch.cat([self.features(system) for system in systems])
        rows = [(i, atom) for i, system in enumerate(systems) for atom in range(len(system))]
        samples = torch.tensor(rows, dtype=torch.int32)
        if selected_atoms is not None:
            chosen = [row in selected_atoms.values.tolist() for row in samples.tolist()]
            features, samples = features[chosen], samples[chosen]
        results = {}
        for name, output in outputs.items():
            values, labels = self.last[name](features), Labels(["system", "atom"], samples)
            if output.sample_kind == "system":
                sums = values.new_zeros((len(systems), values.shape[1]))
                values = sums.index_add(0, samples[:, 0].long(), values)
                labels = Labels.range("system", len(systems))
            block = TensorBlock(values, labels, [], Labels.range("value", values.shape[1]))
            results[name] = TensorMap(Labels.single(), [block])
        return results

    def restart(self, dataset_info):
        self.dataset_info = self.dataset_info.union(dataset_info)
        self.add_layers()
        return self

    def remove_target(self, name):
        del self.last[name]

    def get_checkpoint(self):
        return {
            "version": self.__checkpoint_version__,
            "hypers": self.hypers,
            "info": self.dataset_info.to_dict(),
            "weights": self.state_dict(),
        }

    @classmethod
    def load_checkpoint(cls, checkpoint, context):
        model = cls(checkpoint["hypers"], DatasetInfo.from_dict(checkpoint["info"]))
        model.load_state_dict(checkpoint["weights"])
        return model

    @classmethod
    def upgrade_checkpoint(cls, checkpoint):
        if checkpoint["version"] != cls.__checkpoint_version__:
            raise RuntimeError("this version is not known")
        return checkpoint

    def export(self, metadata=None):
        capabilities = ModelCapabilities(
            outputs=self.supported_outputs(),
            atomic_types=list(self.dataset_info.atomic_types),
            interaction_range=3.0,
            length_unit="angstrom",
            supported_devices=["cpu"],
            dtype="float64",
        )
        return AtomisticModel(self.eval(), metadata or self.metadata, capabilities)


def crystals(num_systems: int = 4) -> Dataset:
    """Cells so small that atoms are neighbors of their own images, and a molecule, with labels."""
    generator = np.random.default_rng(0)
    counts = np.arange(num_systems) + 2
    num_atoms = int(counts.sum())
    cells = np.stack([np.diag([2.5, 3.1, 3.4]) + 0.3 * np.eye(3, k=1)] * num_systems)
    pbc = np.ones((num_systems, 3), dtype=bool)
    cells[0], pbc[0] = 0.0, False
    structures = Structures(
        positions=generator.uniform(0, 3, (num_atoms, 3)),
        types=generator.choice([1, 8], num_atoms).astype(np.int32),
        cells=cells,
        pbc=pbc,
        offsets=offsets_from_counts(counts),
    )
    energy = TargetLabels(
        generator.normal(size=(num_systems, 1)),
        {"positions": generator.normal(size=(num_atoms, 3))},
        quantity="energy",
    )
    charge = TargetLabels(generator.normal(size=(num_systems, 1)), unit="e")
    return Dataset(
        structures,
        {"energy": energy, "mtt::of_atom": TargetLabels(np.zeros((num_atoms, 2)), {}, "atom")},
        np.arange(num_systems),
        "random.xyz",
        extra={"charge": charge},
    )


def make(model_class=Pairs, info: DatasetInfo = INFO) -> AdaptedModel:
    """The adapted model of an author's class, with random weights."""
    torch.manual_seed(0)
    return adapted_class(model_class)({}, info).to(torch.float64)


def values(model: AdaptedModel, indices=(2, 0, 3)) -> dict[str, torch.Tensor]:
    """What the trainer gets of some structures."""
    store = store_for(model, [crystals()], model.dataset_info, model.dtype)
    batch = store.batch(torch.tensor(indices))
    return model.values(batch.graph, list(model.dataset_info.targets))


def predictions(model: ModelInterface, indices=(2, 0, 3)) -> dict[str, torch.Tensor]:
    """What the same model predicts of them for an engine."""
    dataset = crystals().subset(indices)
    systems = systems_from(dataset.structures, dataset.extra)
    add_neighbor_lists(systems, Pairs.lists, "angstrom")
    return forward(model, systems)


def forward(model: ModelInterface, systems, selected=None) -> dict[str, torch.Tensor]:
    infos = model.dataset_info.targets
    outputs = {name: ModelOutput(sample_kind=each.sample_kind) for name, each in infos.items()}
    results = model(systems, outputs, selected)
    return {name: result.block().values for name, result in results.items()}


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-12, atol=1e-12)


class TestTraining:
    @pytest.mark.parametrize(
        "lists", [(FULL,), (SMALL_HALF,), (SMALL_HALF, FULL), ()], ids=["full", "half", "two", "no"]
    )
    def test_values_and_derivatives_are_those_of_the_authors_forward(self, lists):
        class Model(Pairs):
            pass

        Model.lists = lists
        model, dataset = make(Model), crystals()
        store = store_for(model, [dataset], INFO, torch.float64)
        graph = differentiable(store.batch(torch.arange(4)).graph)
        energies = model.values(graph, ["energy"])["energy"]
        found = energy_gradients(energies, graph, ENERGY.gradients, create_graph=False)

        systems, positions, strains = strained_systems(dataset.structures, {}, torch.float64, CPU)
        add_neighbor_lists(systems, lists, "angstrom")
        expected = forward(model.model, systems)["energy"]
        torch.testing.assert_close(energies, expected, rtol=1e-12, atol=1e-12)
        gradients = torch.autograd.grad(expected.sum(), [positions, strains])
        for name, gradient in zip(ENERGY.gradients, gradients):
            torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-10)

    def test_rows_may_come_in_any_order(self):
        class Reversed(Pairs):
            def forward(self, systems, outputs, selected_atoms=None):
                results = super().forward(systems, outputs, selected_atoms)
                return {name: _reversed(result) for name, result in results.items()}

        found = make(Reversed)
        assert_same(values(found), values(make()))
        # the composition goes with its atoms and structures too
        with torch.no_grad():
            for model in (plain := make(), found):
                for baseline in model.baselines.values():
                    baseline.composition[0] += 5.0
        expected = {name: tensor.flip(0) for name, tensor in predictions(plain).items()}
        assert_same(predictions(found), expected)

    def test_an_input_reaches_the_author(self):
        info = replace(INFO, inputs={"charge": CHARGE})
        model = make(info=info)
        found = values(model)
        assert_same(found, predictions(model.model))
        dataset = crystals()
        dataset.extra["charge"].values[:] *= 2
        store = store_for(model, [dataset], info, torch.float64)
        doubled = model.values(store.batch(torch.tensor([2, 0, 3])).graph, ["energy"])
        assert not torch.allclose(doubled["energy"], found["energy"])

    def test_what_fails_inside_is_told_with_its_line(self):
        class Failing(Pairs):
            def features(self, system):
                return self.embedding(system.types) @ torch.ones(7, dtype=torch.float64)

        with pytest.raises(
            ArchitectureError, match=r"forward of Failing failed \(.*, line \d+\): RuntimeError"
        ):
            values(make(Failing))

    def test_a_target_that_is_left_out_is_named(self):
        class Forgetting(Pairs):
            def forward(self, systems, outputs, selected_atoms=None):
                return super().forward(systems, {"energy": outputs["energy"]}, selected_atoms)

        with pytest.raises(ArchitectureError, match="mtt::of_atom is missing"):
            values(make(Forgetting))

    def test_values_of_another_shape_are_refused(self):
        class OfAtoms(Pairs):
            def forward(self, systems, outputs, selected_atoms=None):
                outputs = {name: ModelOutput(sample_kind="atom") for name in outputs}
                return super().forward(systems, outputs, selected_atoms)

        with pytest.raises(
            ArchitectureError,
            match=r"gave of 'energy' a block of \['system', 'atom'\] \(11, 1\); expected one block "
            r"of \['system'\] \(3, 1\)",
        ):
            values(make(OfAtoms))

    def test_tensors_are_refused(self):
        vector = replace(INFO, targets={"dipole": TargetInfo(type=Cartesian(1))})
        with pytest.raises(DataError, match=r"'dipole'.*fits scalars only"):
            make(info=vector)

    def test_only_what_the_trainer_cannot_train_is_adapted(self):
        assert issubclass(Trainer.trained_class(Pairs), AdaptedModel)
        assert Trainer.trained_class(MLIPModel) is MLIPModel


def _reversed(result: TensorMap) -> TensorMap:
    block = result.block()
    samples = Labels(block.samples.names, block.samples.values.flip(0))
    return TensorMap(
        result.keys, [TensorBlock(block.values.flip(0), samples, [], block.properties)]
    )


class TestPrediction:
    def test_scale_and_composition_are_added(self):
        model = make()
        set_baseline(model, "energy", COMPOSITION)
        sums = [
            sum(BY_TYPE[number] for number in crystals().subset([index]).structures.types)
            for index in (2, 0, 3)
        ]
        expected = 3.0 * values(model)["energy"] + torch.tensor(sums).unsqueeze(1)
        torch.testing.assert_close(predictions(model)["energy"], expected)

    def test_large_energies_keep_their_digits_in_systems_of_float64(self):
        """The author's network stays in float32; engines give its dtype, and get it back."""
        model = make().to(torch.float32)
        per_atom = -535_000.0
        set_baseline(model, "energy", Normalization(np.full((2, 1), per_atom), scale=3.0))
        systems = systems_from(crystals().structures, dtype=torch.float64)
        add_neighbor_lists(systems, Pairs.lists, "angstrom")
        found = forward(model, systems)["energy"]
        raw = 3.0 * values(model, (0, 1, 2, 3))["energy"].double()
        counts = torch.tensor([[len(system)] for system in systems])
        torch.testing.assert_close(found, raw + per_atom * counts, rtol=0, atol=1e-5)
        in_single = [system.to(torch.float32) for system in systems]
        torch.testing.assert_close(forward(model, in_single)["energy"], found.float())

    def test_the_composition_of_a_mean_is_a_mean_over_atoms(self):
        class Means(Pairs):
            def forward(self, systems, outputs, selected_atoms=None):
                return {name: _by_size(each, systems) for name, each in super().forward(
                    systems, outputs, selected_atoms).items()}  # fmt: skip

        info = replace(INFO, targets={"mtt::gap": TargetInfo(extensive=False)})
        model, dataset = make(Means, info), crystals().subset([2, 0, 3])
        set_baseline(model, "mtt::gap", COMPOSITION)
        types = np.split(dataset.structures.types, dataset.structures.offsets[1:-1])
        means = [[np.mean([BY_TYPE[number] for number in each])] for each in types]
        dataset.labels["mtt::gap"] = TargetLabels(np.array(means))
        # what is left of labels that the composition explains is nothing, in training ...
        batch = store_for(model, [dataset], info, torch.float64).batch(torch.arange(3))
        torch.testing.assert_close(batch.targets["mtt::gap"].values, torch.zeros(3, 1).double())
        raw = model.values(batch.graph, ["mtt::gap"])["mtt::gap"]
        # ... and what is exported adds it to what was trained
        systems = systems_from(dataset.structures)
        add_neighbor_lists(systems, Pairs.lists, "angstrom")
        found = forward(model, systems)["mtt::gap"]
        torch.testing.assert_close(found, 3.0 * raw + torch.tensor(means))

    def test_selected_atoms_have_their_own_composition(self):
        model = make()
        set_baseline(model, "energy", COMPOSITION)
        systems = systems_from(crystals().subset([1, 2]).structures)
        add_neighbor_lists(systems, Pairs.lists, "angstrom")
        selected = Labels(["system", "atom"], torch.tensor([[1, 3], [0, 1]], dtype=torch.int32))
        found, raw = (forward(each, systems, selected)["energy"] for each in (model, model.model))
        chosen = [int(systems[0].types[1]), int(systems[1].types[3])]
        added = torch.tensor([[BY_TYPE[number]] for number in chosen], dtype=torch.float64)
        torch.testing.assert_close(found, 3.0 * raw + added)

    def test_atoms_in_one_place_are_refused(self):
        """As an engine would find them in the exported model: in silence, all would be NaN."""
        structures = crystals().subset([1]).structures
        structures.positions[1] = structures.positions[0]
        systems = systems_from(structures)
        add_neighbor_lists(systems, Pairs.lists, "angstrom")
        with pytest.raises(ValueError, match="two atoms are in one place"):
            forward(make(), systems)

    def test_an_export_leaves_the_model_alone(self):
        model = make().train()
        model.export()
        assert model.training and model.model.training


class TestOtherData:
    def test_with_equal_data_nothing_changes(self):
        model = make()
        before = values(model)
        assert model.restart(INFO) is model
        assert_same(values(model), before)

    def test_a_new_target_and_type_leave_the_baselines_of_the_old_ones(self):
        model = make()
        set_baseline(model, "energy", COMPOSITION)
        targets = {"energy/pbe": ENERGY}
        larger = model.restart(DatasetInfo("angstrom", (1, 6), targets))
        assert larger.dataset_info.atomic_types == (1, 6, 8)
        kept, new = larger.baselines["energy"], larger.baselines["energy/pbe"]
        assert kept.composition[:, 0].tolist() == [-1.0, 0.0, -100.0]
        assert float(kept.scale) == 3.0
        assert not new.composition.any() and "energy/pbe" in larger.supported_outputs()
        assert larger.metadata.name == "pairs"

    def test_data_that_the_author_refuses_are_the_users_matter(self):
        class Fixed(Pairs):
            def restart(self, dataset_info):
                raise ValueError("new atomic types found in the dataset: [6]")

        with pytest.raises(DataError, match=r"Fixed cannot learn these data: .*\[6\]"):
            make(Fixed).restart(replace(INFO, atomic_types=(1, 6)))

    def test_a_target_is_removed(self):
        model = make()
        model.remove_target("mtt::of_atom")
        assert list(model.dataset_info.targets) == ["energy"]
        assert list(model.baselines) == list(model.supported_outputs()) == ["energy"]
        assert list(values(model)) == ["energy"]


HYPERS = {
    "num_epochs": 4,
    "batch_size": 1,
    "learning_rate": 1e-2,
    "ema_decay": 0.5,
    "checkpoint_interval": 2,
}


def train(model, folder, checkpoint=None, **hypers):
    """Train four epochs, of those that are left of a checkpoint; what is saved at the end."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(1)
    trainer = Trainer(HYPERS | hypers)
    if checkpoint is not None:
        trainer = Trainer.load_checkpoint(checkpoint, HYPERS | hypers, "restart")
    data = crystals()
    train_set, val_set = data.subset([0, 1, 2]), data.subset([3])
    trainer.train(model, torch.float64, [CPU], [train_set], [val_set], folder)
    trainer.save_checkpoint(model, folder / "model.ckpt")
    return read_checkpoint(folder / "model.ckpt")


def after_two_epochs(folder):
    """What a training of four epochs had saved in between."""
    return read_checkpoint(folder / "previous.ckpt")


class TestFinetuning:
    def test_another_method_shifts_the_composition_and_an_old_target_goes(self, tmp_path):
        checkpoint = train(make(), tmp_path / "old")
        data = crystals()
        energy = data.labels["energy"]
        shifted = replace(energy, values=energy.values + 50.0 * (1 + np.arange(1, 5)[:, None]))
        data = replace(data, labels={"energy": shifted}, status={})
        finetune = {"read_from": "old.ckpt", "remove_targets": ["mtt::of_atom"]}
        hypers = HYPERS | {"finetune": finetune, "num_epochs": 1}
        model = make().load_checkpoint(checkpoint, "finetune")
        before = model.baselines["energy"].composition.clone()
        trainer = Trainer.load_checkpoint(checkpoint, hypers, "finetune")
        trainer.train(model, torch.float64, [CPU], [data], [], tmp_path)
        assert list(model.supported_outputs()) == ["energy"]
        # every atom has 50 eV more
        shift = model.baselines["energy"].composition - before
        torch.testing.assert_close(shift, torch.full_like(shift, 50.0), rtol=0.1, atol=0.0)


class TestCheckpoints:
    @pytest.mark.parametrize("context", ["restart", "finetune", "export"])
    def test_a_model_comes_back(self, tmp_path, context):
        model = make()
        set_baseline(model, "energy", COMPOSITION)
        model.save_checkpoint(tmp_path / "model.ckpt")
        loaded = type(model).load_checkpoint(read_checkpoint(tmp_path / "model.ckpt"), context)
        # which the author's does not see to
        assert loaded.dtype == torch.float64
        assert_same(predictions(loaded), predictions(model))

    def test_a_state_of_another_model_is_refused(self):
        checkpoint = make().get_checkpoint()
        del checkpoint["state"]["model.mix.weight"]
        with pytest.raises(CheckpointError, match=r"changed without a new __checkpoint_version__"):
            make().load_checkpoint(checkpoint, "export")

    def test_a_copy_is_a_model_of_its_own(self):
        model = make()
        before = values(model)
        for other in (copy.deepcopy(model), *_tensors(model.get_checkpoint())):
            for tensor in [other] if torch.is_tensor(other) else other.parameters():
                tensor.data.add_(1)
        assert_same(values(model), before)

    def test_objects_in_the_authors_checkpoint_are_refused(self, tmp_path):
        class WithObjects(Pairs):
            def get_checkpoint(self):
                return super().get_checkpoint() | {"info": self.dataset_info}

        with pytest.raises(ArchitectureError, match=r"'author\.info' is a .*DatasetInfo.*to_dict"):
            make(WithObjects).save_checkpoint(tmp_path / "model.ckpt")

    def test_the_best_state_is_exported_and_the_last_one_goes_on(self, tmp_path):
        checkpoint = train(make(), tmp_path)
        best, last = (
            make().load_checkpoint(checkpoint, context) for context in ("export", "restart")
        )
        assert torch.equal(last.model.mix.weight, checkpoint["state"]["model.mix.weight"])
        assert torch.equal(best.model.mix.weight, checkpoint["best_state"]["model.mix.weight"])
        assert not torch.equal(best.model.mix.weight, last.model.mix.weight)

    def test_a_restart_ends_with_the_same_numbers(self, tmp_path):
        whole = train(make(), tmp_path / "whole")
        half = after_two_epochs(tmp_path / "whole")
        assert half["trainer"]["epoch"] == 2
        model = make().load_checkpoint(half, "restart")
        continued = train(model, tmp_path / "continued", half)
        for name, tensor in whole["state"].items():
            assert torch.equal(continued["state"][name], tensor), name


def _tensors(value):
    if torch.is_tensor(value):
        yield value
    for part in value.values() if isinstance(value, dict) else ():
        yield from _tensors(part)


class Renamed(Pairs):
    """A second version, whose layer has another name and a buffer of its own."""

    __checkpoint_version__ = 2

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info)
        self.register_buffer("ones", torch.ones(1))
        self.mixing = torch.nn.ModuleDict({"layer": self.mix})
        del self.mix

    def features(self, system):
        self.mix = self.mixing["layer"]
        try:
            return super().features(system)
        finally:
            del self.mix

    @classmethod
    def upgrade_checkpoint(cls, checkpoint):
        # in place, as metatrain's do
        if checkpoint["version"] == 1:
            weights = checkpoint["weights"]
            for part in ("weight", "bias"):
                weights[f"mixing.layer.{part}"] = weights.pop(f"mix.{part}")
            weights["ones"] = torch.ones(1, dtype=torch.float64)
            checkpoint["version"] = 2
        return super().upgrade_checkpoint(checkpoint)


class TestUpgrades:
    def test_every_state_is_upgraded_by_the_authors_function(self, tmp_path):
        whole = train(make(), tmp_path / "whole")
        half = after_two_epochs(tmp_path / "whole")
        new_class = adapted_class(Renamed)
        upgraded = new_class.upgrade_checkpoint(copy.deepcopy(half))
        assert upgraded["model_version"] == 2
        model = new_class.load_checkpoint(upgraded, "restart")
        continued = train(model, tmp_path / "continued", upgraded)
        for key in ("state", "best_state"):
            for old, tensor in whole[key].items():
                name = old.replace("model.mix.", "model.mixing.layer.")
                assert torch.equal(continued[key][name], tensor), (key, name)
        best = new_class.load_checkpoint(upgraded, "export")
        assert torch.equal(best.model.mixing["layer"].bias, half["best_state"]["model.mix.bias"])

    def test_a_model_without_a_trainer_is_upgraded(self):
        model = make()
        new_class = adapted_class(Renamed)
        upgraded = new_class.upgrade_checkpoint(model.get_checkpoint())
        loaded = new_class.load_checkpoint(upgraded, "export")
        assert_same(predictions(loaded), predictions(model))

    def test_low_rank_updates_are_merged(self, tmp_path):
        finetune = {"read_from": "old.ckpt", "method": "lora", "config": {"rank": 2}}
        checkpoint = train(make(), tmp_path, finetune=finetune)
        assert any("low_rank_a" in name for name in checkpoint["state"])
        expected = make().load_checkpoint(checkpoint, "export")
        new_class = adapted_class(Renamed)
        found = new_class.load_checkpoint(new_class.upgrade_checkpoint(checkpoint), "export")
        assert_same(predictions(found), predictions(expected))

    def test_a_newer_checkpoint_is_refused(self):
        newer = adapted_class(Renamed)({}, INFO).get_checkpoint()
        with pytest.raises(CheckpointError, match=r"model version 2.*pip install"):
            adapted_class(Pairs).upgrade_checkpoint(newer)

    def test_a_checkpoint_without_a_state_is_refused(self):
        class Stateless(Renamed):
            @classmethod
            def upgrade_checkpoint(cls, checkpoint):
                return {"version": 2}

        with pytest.raises(CheckpointError, match=r"state_dict\(\)"):
            adapted_class(Stateless).upgrade_checkpoint(make().get_checkpoint())


def _by_size(result: TensorMap, systems) -> TensorMap:
    """Sums of structures made means."""
    sizes = torch.tensor([[len(system)] for system in systems])
    block = result.block()
    return TensorMap(
        result.keys, [TensorBlock(block.values / sizes, block.samples, [], block.properties)]
    )
