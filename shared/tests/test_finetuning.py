"""Fine-tuning: which parameters train, what is taken over, and that a restart finds the same."""

import copy
import logging
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from metatomic.torch import ModelMetadata

from mt_shared.contract import DatasetInfo, TargetInfo, read_checkpoint
from mt_shared.data import Dataset, Graph, Structures, TargetLabels, offsets_from_counts
from mt_shared.engine import Trainer, normalizations
from mt_shared.engine.finetuning import (
    add_low_rank_updates,
    initialize_model,
    set_trainable,
    trained_info,
)
from mt_shared.errors import OptionsError
from mt_shared.model import BaseModel, Head, SpeciesLinear
from mt_shared.model.lora import (
    LowRank,
    add_saved_updates,
    add_updates,
    linear_layers,
    merged_state,
)
from mt_shared.options import deep_merge, engine_defaults

ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions",))
OTHER = TargetInfo(quantity="energy", unit="eV")
OF_ATOMS = TargetInfo(sample_kind="atom", num_subtargets=2)
INFO = DatasetInfo("angstrom", (1, 8), {"energy": ENERGY})
BOTH = DatasetInfo("angstrom", (1, 8), {"energy": ENERGY, "mtt::other": OTHER})
CPU = torch.device("cpu")


class Toy(BaseModel):
    """Sums of Gaussians over the neighbors, through one layer of each kind."""

    __checkpoint_version__ = 1
    __supported_devices__: ClassVar[list[str]] = ["cpu"]
    __supported_dtypes__: ClassVar[list[torch.dtype]] = [torch.float64]
    __default_metadata__ = ModelMetadata()

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info, cutoff=3.0)
        self.of_species = SpeciesLinear(5, 6, self.num_species, bias=True)
        self.of_all = torch.nn.Linear(6, 4)
        self.add_targets(dataset_info.targets)

    def features(self, graph: Graph):
        distances = torch.linalg.vector_norm(graph.vectors, dim=1, keepdim=True)
        radial = torch.exp(-((distances - torch.arange(5)) ** 2))
        sums = graph.vectors.new_zeros((len(graph.species), 5))
        sums = sums.index_add(0, graph.centers, radial)
        return torch.tanh(self.of_all(torch.tanh(self.of_species(sums, graph.species))))

    def make_head(self, name, target):
        return Head(4, target.num_subtargets, self.num_species, hidden=name != "mtt::linear")


class ToyTrainer(Trainer):
    __checkpoint_version__ = 1


def toy(info=INFO):
    torch.manual_seed(0)
    return Toy({}, info).to(torch.float64)


def data(name="energy", seed=0, forces=True, shift=0.0):
    """Twelve clusters of H and O, with an energy that is smooth in the distances."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(2, 5, 12)
    num_atoms = int(counts.sum())
    structures = Structures(
        positions=generator.uniform(0, 3, (num_atoms, 3)),
        types=generator.choice([1, 8], num_atoms).astype(np.int32),
        cells=np.zeros((12, 3, 3)),
        pbc=np.zeros((12, 3), dtype=bool),
        offsets=offsets_from_counts(counts),
    )
    gradients = {"positions": generator.normal(size=(num_atoms, 3))} if forces else {}
    values = generator.normal(size=(12, 1)) + shift * counts[:, None]
    labels = TargetLabels(values, gradients)
    return Dataset(structures, {name: labels}, np.arange(12), "random.xyz")


def hypers(**training):
    return deep_merge(
        engine_defaults(),
        {"num_epochs": 3, "batch_size": 4, "learning_rate": 1e-2, "ema_decay": 0.9} | training,
    )


def finetune(method="full", **more):
    return {"finetune": {"read_from": "old.ckpt", "method": method} | more}


def train(model, trainer, folder, datasets):
    folder.mkdir(exist_ok=True)
    trainer.train(model, torch.float64, [CPU], datasets, datasets, folder)
    trainer.save_checkpoint(model, folder / "model.ckpt")
    return read_checkpoint(folder / "model.ckpt")


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """The checkpoint of a model of ``energy``."""
    folder = tmp_path_factory.mktemp("pretrained")
    return train(toy(), ToyTrainer(hypers(num_epochs=20)), folder, [data()])


def load(checkpoint, context, info, wanted):
    torch.manual_seed(1)
    checkpoint = copy.deepcopy(checkpoint)
    model = Toy.load_checkpoint(checkpoint, context).restart(info).to(torch.float64)
    return model, ToyTrainer.load_checkpoint(checkpoint, wanted, context)


def tuned(pretrained, folder, datasets, info=INFO, **training):
    """The checkpoint of a fine-tuning."""
    return train(*load(pretrained, "finetune", info, hypers(**training)), folder, datasets)


def settings(method, **config):
    section = engine_defaults()["finetune"]
    return section | {"method": method, "config": section["config"] | config}


def trained_names(model):
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


class TestWhichParametersTrain:
    def test_full_trains_all_but_the_heads_without_labels(self):
        model = toy(BOTH)
        set_trainable(model, ["mtt::other"], settings("full"))
        frozen = set(dict(model.named_parameters())) - set(trained_names(model))
        assert frozen == {"heads.energy.hidden.linear.weight", "heads.energy.linear.weight"}

    def test_heads_trains_the_heads_with_labels(self):
        model = toy(BOTH)
        set_trainable(model, ["mtt::other"], settings("heads"))
        assert trained_names(model) == [
            "heads.mtt::other.hidden.linear.weight",
            "heads.mtt::other.linear.weight",
        ]

    @pytest.mark.parametrize(
        ("patterns", "expected"),
        [
            (["of_all"], ["of_all.weight", "of_all.bias"]),
            (["of_all.*"], ["of_all.weight", "of_all.bias"]),
            (["*.bias"], ["of_species.bias", "of_all.bias"]),
            (["of_all.bias", "of_sp*.weight"], ["of_species.weight", "of_all.bias"]),
            # the other head has no labels
            (["heads"], ["heads.energy.hidden.linear.weight", "heads.energy.linear.weight"]),
        ],
    )
    def test_heads_trains_what_patterns_name(self, patterns, expected):
        model = toy(BOTH)
        set_trainable(model, ["energy"], settings("heads", modules=patterns))
        assert trained_names(model) == expected

    @pytest.mark.parametrize("pattern", ["of_none", "of_al", "heads.mtt::other"])
    def test_a_pattern_that_matches_nothing_is_refused_with_the_parts(self, pattern):
        with pytest.raises(OptionsError, match=f"'{pattern}' matches nothing") as error:
            set_trainable(toy(BOTH), ["energy"], settings("heads", modules=[pattern]))
        assert "heads.energy, of_all.bias, of_all.weight, of_species" in str(error.value)

    def test_lora_trains_updates_and_heads(self):
        model = toy(BOTH)
        add_low_rank_updates(model, settings("lora")["config"])
        set_trainable(model, ["energy"], settings("lora"))
        update = "parametrizations.weight.0.low_rank"
        assert set(trained_names(model)) == {
            *(f"of_species.{update}_{part}" for part in "ab"),
            *(f"of_all.{update}_{part}" for part in "ab"),
            "heads.energy.hidden.linear.weight",
            "heads.energy.linear.weight",
        }

    @pytest.mark.parametrize("pattern", ["of_all", "of_a*", "*_all"])
    def test_lora_is_added_to_the_layers_that_patterns_name(self, pattern):
        model = toy()
        add_low_rank_updates(model, settings("lora", target_modules=[pattern])["config"])
        assert [name for name in model.state_dict() if "low_rank_a" in name] == [
            "of_all.parametrizations.weight.0.low_rank_a"
        ]

    def test_lora_of_no_layer_is_refused_with_the_layers(self):
        with pytest.raises(OptionsError, match="linear layers: of_all, of_species"):
            add_low_rank_updates(toy(), settings("lora", target_modules=["input_linear"])["config"])

    def test_a_rank_that_no_layer_can_have_is_refused(self):
        """Layers of 5 to 6 and of 6 to 4 features."""
        with pytest.raises(OptionsError, match=r"rank: found 6, .* the rank 5: of_all, of_species"):
            add_low_rank_updates(toy(), settings("lora", rank=6)["config"])
        add_low_rank_updates(toy(), settings("lora", rank=5)["config"])

    def test_a_model_without_parameters_is_refused(self):
        model = toy(replace(INFO, targets={}))
        del model.of_all, model.of_species
        with pytest.raises(OptionsError, match="no parameters"):
            set_trainable(model, [], settings("full"))


class TestLowRankUpdates:
    @pytest.fixture
    def layers(self):
        torch.manual_seed(0)
        layers = torch.nn.ModuleDict(
            {"species": SpeciesLinear(5, 3, 2, bias=True), "all": torch.nn.Linear(5, 3)}
        )
        return layers.to(torch.float64)

    def with_updates(self, layers, rank):
        updated = copy.deepcopy(layers)
        add_updates(linear_layers(updated).values(), rank, alpha=2.0)
        return updated

    def outputs(self, layers):
        x = torch.linspace(-1, 1, 20, dtype=torch.float64).reshape(4, 5)
        return torch.cat([layers["species"](x, torch.tensor([1, 0, 1, 1])), layers["all"](x)])

    def test_they_change_nothing_at_first(self, layers):
        assert torch.equal(self.outputs(self.with_updates(layers, 2)), self.outputs(layers))

    def test_the_layer_computes_the_weight_plus_alpha_by_rank_b_a(self, layers):
        updated = self.with_updates(layers, 2)
        expected = copy.deepcopy(layers)
        for name in ("species", "all"):
            update = updated[name].parametrizations.weight[0]
            torch.nn.init.normal_(update.low_rank_b)
            product = update.low_rank_b @ update.low_rank_a
            expected[name].weight.data += 2.0 / 2 * product.detach()
        torch.testing.assert_close(self.outputs(updated), self.outputs(expected))

    @pytest.mark.parametrize(("rank", "used"), [(1, 1), (3, 3), (7, 3)])
    def test_the_rank_is_bounded_by_the_layer(self, layers, rank, used):
        update = self.with_updates(layers, rank)["species"].parametrizations.weight[0]
        assert update.low_rank_a.shape == (2, used, 5)
        assert update.low_rank_b.shape == (2, 3, used)

    def test_the_merged_state_computes_the_same(self, layers):
        updated = self.with_updates(layers, 2)
        for update in (each for each in updated.modules() if isinstance(each, LowRank)):
            torch.nn.init.normal_(update.low_rank_b)
        state = merged_state(updated.state_dict())
        assert set(state) == set(layers.state_dict())
        merged = copy.deepcopy(layers)
        merged.load_state_dict(state)
        assert torch.equal(self.outputs(merged), self.outputs(updated))

    def test_they_are_known_again_by_the_names_in_a_state(self, layers):
        updated = self.with_updates(layers, 2)
        for update in (each for each in updated.modules() if isinstance(each, LowRank)):
            torch.nn.init.normal_(update.low_rank_b)
        again = copy.deepcopy(layers)
        add_saved_updates(again, updated.state_dict())
        again.load_state_dict(updated.state_dict())
        assert torch.equal(self.outputs(again), self.outputs(updated))
        assert [name for name, _ in again.named_parameters()] == [
            name for name, _ in updated.named_parameters()
        ]

    def test_the_state_of_a_plain_model_stays_as_it_is(self, layers):
        assert merged_state(layers.state_dict()).keys() == layers.state_dict().keys()


class TestTargets:
    def test_those_with_labels_are_trained_with_the_gradients_that_have_labels(self):
        assert trained_info(BOTH, [data("mtt::other")]).targets == {"mtt::other": OTHER}
        without = trained_info(BOTH, [data("energy", forces=False)])
        assert without.targets == {"energy": replace(ENERGY, gradients=())}

    def test_others_have_no_column_in_the_table_of_epochs(self, pretrained, tmp_path):
        tuned(pretrained, tmp_path, [data("mtt::other", forces=False)], BOTH, **finetune())
        header = (tmp_path / "train.csv").read_text().splitlines()[0]
        assert "mtt::other RMSE" in header
        assert "energy" not in header
        assert "forces" not in header

    def test_the_heads_of_others_are_not_computed(self, pretrained, tmp_path, monkeypatch):
        asked = []
        features = Toy.read_out

        def read_out(model, features_, species, targets=None):
            asked.append(targets)
            return features(model, features_, species, targets)

        monkeypatch.setattr(Toy, "read_out", read_out)
        tuned(pretrained, tmp_path, [data("mtt::other", forces=False)], BOTH, **finetune())
        assert asked
        assert all(targets == ["mtt::other"] for targets in asked)

    @pytest.mark.parametrize("option", ["fixed_scaling_weights", "atomic_baseline"])
    def test_options_cannot_name_others(self, pretrained, tmp_path, option):
        wanted = finetune() | {option: {"energy": 1.0}}
        with pytest.raises(OptionsError, match=rf"{option} names the target 'energy'"):
            tuned(pretrained, tmp_path, [data("mtt::other")], BOTH, **wanted)


METHODS = ["full", "heads", "lora"]


class TestTraining:
    @pytest.mark.parametrize("method", METHODS)
    def test_what_is_frozen_keeps_its_bits(self, pretrained, tmp_path, method):
        new = data("mtt::other", seed=1)
        wanted = finetune(method) | {"weight_decay": 0.1}
        after = tuned(pretrained, tmp_path, [new], BOTH, **wanted)
        before = merged_state(pretrained["best_state"])
        for state in (after["state"], after["best_state"]):
            plain = {name.replace("parametrizations.weight.original", "weight"): tensor
                     for name, tensor in state.items()}  # fmt: skip
            same = {name for name in before if torch.equal(before[name], plain[name])}
            old_target = {name for name in before if "energy" in name}
            assert same >= old_target, "head and baseline of the old target have changed"
            network = {name for name in before if name.startswith("of_")}
            weights = {name for name in network if method != "full"}
            assert same - old_target == weights

    @pytest.mark.parametrize("method", METHODS)
    def test_it_learns(self, pretrained, tmp_path, method):
        wanted = finetune(method) | {"num_epochs": 30}
        history = tuned(pretrained, tmp_path, [data(seed=1)], **wanted)["trainer"]["history"]
        assert history[-1]["train loss"] < history[0]["train loss"]

    @pytest.mark.parametrize("method", METHODS)
    def test_stopped_and_gone_on_is_the_same_to_the_last_bit(self, pretrained, tmp_path, method):
        wanted = finetune(method, inherit_heads={"mtt::other": "energy"})
        new = [data("mtt::other", forces=False, seed=1)]
        whole = tuned(pretrained, tmp_path / "whole", new, BOTH, **wanted)
        stopped = self.stopped_in_the_second_epoch(pretrained, tmp_path / "stopped", new, wanted)
        model, trainer = load(stopped, "restart", BOTH, hypers(**wanted))
        gone_on = train(model, trainer, tmp_path / "gone on", new)
        for key in ("state", "best_state"):
            assert set(gone_on[key]) == set(whole[key])
            for name, tensor in whole[key].items():
                assert torch.equal(gone_on[key][name], tensor), name
        assert gone_on["trainer"]["history"] == whole["trainer"]["history"]

    def stopped_in_the_second_epoch(self, pretrained, folder, datasets, wanted):
        class Stopped(Exception):
            pass

        class StoppedTrainer(ToyTrainer):
            def _step(self, run, batch):
                if (run.position.epoch, run.position.step) == (1, 1):
                    self._save(run, folder)
                    raise Stopped
                return super()._step(run, batch)

        folder.mkdir()
        model, trainer = load(pretrained, "finetune", BOTH, hypers(**wanted))
        trainer.__class__ = StoppedTrainer
        with pytest.raises(Stopped):
            trainer.train(model, torch.float64, [CPU], datasets, datasets, folder)
        return read_checkpoint(folder / "latest.ckpt")

    def test_another_fine_tuning_begins_with_plain_layers(self, pretrained, tmp_path):
        first = tuned(pretrained, tmp_path / "first", [data(seed=1)], **finetune("lora"))
        second = tuned(first, tmp_path / "second", [data(seed=2)], **finetune())
        assert set(second["state"]) == set(pretrained["state"])

    def test_an_exported_model_predicts_what_the_updated_layers_do(self, pretrained, tmp_path):
        after = tuned(pretrained, tmp_path, [data(seed=1)], **finetune("lora"))
        updated = Toy.load_checkpoint(after, "restart")
        exported = updated.export().module
        assert set(exported.state_dict()) == set(pretrained["state"])
        x = torch.rand(3, 6, dtype=torch.float64)
        torch.testing.assert_close(exported.of_all(x), updated.of_all(x), rtol=1e-13, atol=1e-13)

    def test_a_checkpoint_of_a_model_alone_can_be_fine_tuned(self, tmp_path):
        toy().save_checkpoint(tmp_path / "bare.ckpt")
        bare = read_checkpoint(tmp_path / "bare.ckpt")
        assert tuned(bare, tmp_path, [data(seed=1)], **finetune())["trainer"]["epoch"] == 3

    def test_method_and_numbers_of_parameters_are_said(self, pretrained, tmp_path, caplog):
        caplog.set_level(logging.INFO)
        tuned(pretrained, tmp_path, [data("mtt::other")], BOTH, **finetune("heads"))
        assert (
            "Fine-tuning old.ckpt by the method 'heads': 40 parameters train, 140 are frozen"
            in caplog.text
        )
        assert "No labels of energy: heads and baselines stay as they are\n" in caplog.text

    def test_predictions_that_change_without_labels_are_told(self, pretrained, tmp_path, caplog):
        caplog.set_level(logging.INFO)
        tuned(pretrained, tmp_path, [data("mtt::other")], BOTH, **finetune("lora"))
        assert "what they predict changes with the features below" in caplog.text

    def test_random_weights_that_stay_frozen_are_warned_of(self, pretrained, tmp_path, caplog):
        dataset = data(seed=1)
        dataset.structures.types[0] = 6
        more = DatasetInfo("angstrom", (1, 6, 8), {"energy": ENERGY})
        tuned(pretrained, tmp_path, [dataset], more, **finetune("heads"))
        assert "the atomic types [6] are new to the model" in caplog.text

    @pytest.mark.parametrize(
        ("more", "warned"),
        [
            ({"config": {"modules": ["of_all"]}}, True),
            ({"config": {"modules": ["heads", "of_all"]}}, False),
            ({"config": {"modules": ["of_all"]}, "inherit_heads": {"mtt::other": "energy"}}, False),
        ],
    )
    def test_new_heads_that_do_not_train_are_warned_of(
        self, pretrained, tmp_path, caplog, more, warned
    ):
        caplog.set_level(logging.INFO)
        new = [data("mtt::other", forces=False)]
        tuned(pretrained, tmp_path, new, BOTH, **finetune("heads", **more))
        assert ("heads of the new targets mtt::other are random" in caplog.text) == warned


class TestComposition:
    """The new data are the old ones, an energy of 3 more for each atom."""

    def composition(self, pretrained, **training):
        model, trainer = load(pretrained, "finetune", INFO, hypers(**training))
        shifted = [data(shift=3.0)]
        initialize_model(
            model, trained_info(INFO, shifted), trainer._old_info, shifted, trainer.hypers
        )
        return normalizations(model, ["energy"])["energy"].composition.copy()

    @pytest.fixture
    def before(self, pretrained):
        return pretrained["best_state"]["baselines.energy.composition"].numpy()

    def test_refit_takes_the_difference_of_the_methods(self, pretrained, before):
        unshifted = load(pretrained, "finetune", INFO, hypers(**finetune()))
        initialize_model(unshifted[0], INFO, INFO, [data()], unshifted[1].hypers)
        reference = normalizations(unshifted[0], ["energy"])["energy"].composition
        found = self.composition(pretrained, **finetune())
        np.testing.assert_allclose(found - reference, [[3.0], [3.0]])

    def test_keep_keeps_it_to_the_last_bit(self, pretrained, before):
        found = self.composition(pretrained, **finetune(composition="keep"))
        np.testing.assert_array_equal(found, before)

    def test_keep_fits_atomic_types_that_are_new(self, pretrained, before):
        dataset = data(shift=3.0)
        dataset.structures.types[:3] = 6
        more = DatasetInfo("angstrom", (1, 6, 8), {"energy": ENERGY})
        model, trainer = load(pretrained, "finetune", more, hypers(**finetune(composition="keep")))
        initialize_model(model, more, trainer._old_info, [dataset], trainer.hypers)
        found = normalizations(model, ["energy"])["energy"].composition
        np.testing.assert_array_equal(found[[0, 2]], before)
        assert abs(found[1, 0]) > 0.1

    @pytest.mark.parametrize("composition", ["refit", "keep"])
    def test_numbers_of_the_options_are_obeyed(self, pretrained, before, composition):
        given = {"atomic_baseline": {"energy": {8: -5.0}}}
        found = self.composition(pretrained, **finetune(composition=composition), **given)
        assert found[1, 0] == -5.0
        assert (found[0, 0] == before[0, 0]) == (composition == "keep")

    def test_targets_of_atoms_are_refitted_too(self, tmp_path):
        info = DatasetInfo("angstrom", (1, 8), {"mtt::atoms": OF_ATOMS})
        dataset = data()
        num_atoms = dataset.structures.num_atoms
        species = (dataset.structures.types == 8).astype(int)

        def labelled(shift):
            values = np.random.default_rng(0).normal(size=(num_atoms, 2)) + np.array(shift)[species]
            labels = TargetLabels(values, sample_kind="atom")
            return Dataset(
                dataset.structures, {"mtt::atoms": labels}, dataset.frames, dataset.source
            )

        old = train(toy(info), ToyTrainer(hypers()), tmp_path, [labelled([[0, 0], [0, 0]])])
        compositions = []
        for shift in ([[0, 0], [0, 0]], [[1, 2], [3, 4]]):
            model, trainer = load(old, "finetune", info, hypers(**finetune()))
            initialize_model(model, info, info, [labelled(shift)], trainer.hypers)
            compositions.append(normalizations(model, info.targets)["mtt::atoms"].composition)
        np.testing.assert_allclose(compositions[1] - compositions[0], [[1, 2], [3, 4]])

    @pytest.mark.parametrize(
        "scale", [{"fixed_scaling_weights": {"energy": 7.0}}, {"scale_targets": False}]
    )
    def test_another_scale_is_refused(self, pretrained, scale):
        with pytest.raises(OptionsError, match="was trained with"):
            self.composition(pretrained, **finetune(), **scale)

    def test_the_scale_that_the_model_has_may_be_named(self, pretrained):
        scale = float(pretrained["best_state"]["baselines.energy.scale"])
        self.composition(pretrained, **finetune(), fixed_scaling_weights={"energy": scale})


class TestInheritance:
    def begun(self, pretrained, info, wanted, datasets):
        model, trainer = load(
            pretrained, "finetune", info, hypers(**finetune(inherit_heads=wanted))
        )
        initialize_model(
            model, trained_info(info, datasets), trainer._old_info, datasets, trainer.hypers
        )
        return model

    def test_head_and_scale_are_copied_and_the_composition_is_refitted(self, pretrained):
        compositions = []
        for shift in (0.0, 3.0):
            shifted = data("mtt::other", forces=False, shift=shift)
            model = self.begun(pretrained, BOTH, {"mtt::other": "energy"}, [shifted])
            old, new = (model.heads[name].state_dict() for name in ("energy", "mtt::other"))
            assert all(torch.equal(old[name], new[name]) for name in old)
            baselines = normalizations(model, BOTH.targets)
            assert baselines["energy"].scale == baselines["mtt::other"].scale
            compositions.append(baselines["mtt::other"].composition)
        np.testing.assert_allclose(compositions[1] - compositions[0], [[3.0], [3.0]])

    @pytest.mark.parametrize(
        ("wanted", "reason"),
        [
            ({"mtt::other": "enrgy"}, "no target 'enrgy' (did you mean 'energy'?); it has energy"),
            ({"energy": "energy"}, "'energy' is a target of the model with a head of its own"),
            ({"mtt::x": "energy"}, "the data sets have no target 'mtt::x'"),
            ({"mtt::linear": "energy"}, "have other layers"),
            ({"mtt::two": "energy"}, "of different kinds: num_subtargets 2 and 1"),
            ({"mtt::unit": "energy"}, "unit 'kcal/mol' and 'eV'"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, pretrained, wanted, reason):
        targets = {
            "energy": ENERGY,
            "mtt::other": OTHER,
            "mtt::linear": OTHER,
            "mtt::two": replace(OTHER, num_subtargets=2),
            "mtt::unit": replace(OTHER, unit="kcal/mol"),
        }
        info = DatasetInfo("angstrom", (1, 8), targets)
        with pytest.raises(OptionsError) as error:
            self.begun(pretrained, info, wanted, [data()])
        assert reason in str(error.value)
