"""The parts of the shared engine, each against numbers that can be checked by hand."""

import math
import os
import pty
import re
import select
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import (
    Dataset,
    Normalization,
    Structures,
    TargetLabels,
    build_store,
    cut_batches,
    epoch_batches,
    largest_batch,
    offsets_from_counts,
    opposite_edges,
)
from mt_shared.engine import fit_composition, fixed_composition
from mt_shared.engine.dry_run import try_largest_batch
from mt_shared.engine.loss import Loss, loss_terms
from mt_shared.engine.metrics import EpochErrors, ErrorSums, Metric, metrics_of, selection_metric
from mt_shared.engine.optimization import Schedule
from mt_shared.engine.prediction import Prediction
from mt_shared.errors import DataError, OptionsError, UserError

ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions",))
INFO = DatasetInfo("angstrom", (1, 8), {"energy": ENERGY})
CUTOFF = 3.0


def water_like(num_systems: int = 3, seed: int = 0) -> Dataset:
    """Clusters of 2, 3, 4 ... atoms of H and O at random, with random labels."""
    generator = np.random.default_rng(seed)
    counts = np.arange(num_systems) + 2
    num_atoms = int(counts.sum())
    structures = Structures(
        positions=generator.uniform(0, 3, (num_atoms, 3)),
        types=generator.choice([1, 8], num_atoms).astype(np.int32),
        cells=np.zeros((num_systems, 3, 3)),
        pbc=np.zeros((num_systems, 3), dtype=bool),
        offsets=offsets_from_counts(counts),
    )
    labels = TargetLabels(
        values=generator.normal(size=(num_systems, 1)),
        gradients={"positions": generator.normal(size=(num_atoms, 3))},
    )
    return Dataset(structures, {"energy": labels}, np.arange(num_systems), "random.xyz")


def crystals() -> Dataset:
    """The clusters in cells so small that atoms are neighbors of their own images."""
    dataset = water_like()
    cells = np.stack([np.diag([2.5, 3.1, 3.4]) + 0.3 * (axis == 2) for axis in range(3)])
    structures = replace(
        dataset.structures, cells=cells, pbc=np.ones((len(dataset), 3), dtype=bool)
    )
    return replace(dataset, structures=structures)


def store_of(dataset: Dataset, **reads: bool):
    nothing = Normalization(np.zeros((2, 1)), 1.0)
    return build_store([dataset], INFO, CUTOFF, {"energy": nothing}, torch.float64, **reads)


class TestBatches:
    def test_atoms_are_in_the_order_of_the_structures(self):
        dataset = water_like()
        graph = store_of(dataset).batch(torch.tensor([2, 0])).graph
        expected = [int(each == 8) for each in dataset.structures.subset([2, 0]).types]
        assert graph.species.tolist() == expected
        assert graph.num_atoms.tolist() == [4, 2]
        assert graph.system.tolist() == [0, 0, 0, 0, 1, 1]

    def test_each_edge_joins_atoms_at_its_vector(self):
        graph = store_of(crystals(), reads_positions=True).batch(torch.tensor([1, 2])).graph
        shifts = torch.einsum(
            "ea,eab->eb", graph.shifts.double(), graph.cells[graph.system[graph.centers]]
        )
        expected = graph.positions[graph.neighbors] - graph.positions[graph.centers] + shifts
        torch.testing.assert_close(graph.vectors, expected)
        assert graph.shifts.any()
        assert torch.equal(graph.system[graph.centers], graph.system[graph.neighbors])

    @pytest.mark.parametrize("dataset", [water_like(), crystals()], ids=["molecules", "crystals"])
    def test_the_reverse_of_an_edge_is_the_same_edge_from_its_other_end(self, dataset):
        graph = store_of(dataset, reads_reverse=True).batch(torch.tensor([2, 0])).graph
        assert torch.equal(graph.centers[graph.reverse], graph.neighbors)
        torch.testing.assert_close(graph.vectors[graph.reverse], -graph.vectors)
        assert torch.equal(graph.reverse[graph.reverse], torch.arange(len(graph.reverse)))

    def test_a_list_that_has_an_edge_from_one_end_alone_has_no_reverse(self):
        centers, neighbors = torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 2, 0])
        with pytest.raises(ValueError, match="from one end alone"):
            opposite_edges(centers, neighbors, torch.zeros(4, 3, dtype=torch.int64))

    def test_what_is_not_declared_is_empty(self):
        graph = store_of(water_like()).batch(torch.tensor([0])).graph
        fields = ("reverse", "positions", "cells", "pbc", "shifts")
        assert not any(len(getattr(graph, name)) for name in fields)

    def test_all_that_a_graph_has_is_tensors(self):
        graph = store_of(water_like(), reads_positions=True).batch(torch.tensor([0])).graph
        for name, value in graph._asdict().items():
            assert isinstance(value, dict if name == "inputs" else torch.Tensor), name

    def test_labels_go_with_their_structures_and_atoms(self):
        dataset = water_like()
        batch = store_of(dataset, reads_positions=True).batch(torch.tensor([2, 0]))
        target = batch.targets["energy"]
        expected = dataset.labels["energy"].values[[2, 0]]
        np.testing.assert_allclose(target.values, expected)
        for position, gradient in zip(batch.graph.positions, target.gradients["positions"]):
            atom = np.argmin(
                np.linalg.norm(dataset.structures.positions - position.numpy(), axis=1)
            )
            np.testing.assert_allclose(
                gradient, dataset.labels["energy"].gradients["positions"][atom]
            )

    def test_a_type_that_the_model_lacks_is_named(self):
        with pytest.raises(DataError, match="atomic type 8"):
            build_store([water_like()], DatasetInfo("A", (1,), {}), CUTOFF, {}, torch.float32)


class TestSampling:
    def test_each_structure_is_seen_once_an_epoch(self):
        batches = epoch_batches(torch.full((10,), 3), 4, None, seed=1, epoch=0)
        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert sorted(torch.cat(batches).tolist()) == list(range(10))

    def test_order_depends_on_seed_and_epoch_alone(self):
        sizes = torch.full((10,), 3)
        first = torch.cat(epoch_batches(sizes, 4, None, 1, 0)).tolist()
        torch.rand(5)
        assert torch.cat(epoch_batches(sizes, 4, None, 1, 0)).tolist() == first
        assert torch.cat(epoch_batches(sizes, 4, None, 1, 1)).tolist() != first

    def test_batches_by_number_of_atoms_keep_the_limit_and_drop_nothing(self):
        sizes = torch.tensor([5, 3, 4, 9, 1, 2])
        batches = cut_batches(torch.arange(6), sizes, 99, max_atoms=8)
        assert [batch.tolist() for batch in batches] == [[0, 1], [2], [3], [4, 5]]

    def test_what_a_batch_may_hold_at_most(self):
        sizes = torch.tensor([5, 3, 4, 9, 1, 2])
        assert largest_batch(sizes, 2, None) == 14
        assert largest_batch(sizes, 99, None) == 24
        assert largest_batch(sizes, 2, max_atoms=8) == 8


class TestBaselines:
    def test_composition_is_learnt_exactly(self):
        dataset = water_like(5)
        structures = dataset.structures
        species = (structures.types == 8).astype(np.int64)
        counts = np.add.reduceat(np.eye(2)[species], structures.offsets[:-1])
        found = fit_composition(counts @ [[-13.6], [-2041.0]], structures, species, 2, ENERGY, {})
        np.testing.assert_allclose(found, [[-13.6], [-2041.0]], rtol=1e-10)

    def test_given_values_are_kept_and_the_others_fitted(self):
        dataset = water_like(5)
        structures = dataset.structures
        species = (structures.types == 8).astype(np.int64)
        counts = np.add.reduceat(np.eye(2)[species], structures.offsets[:-1])
        values = counts @ [[-13.6], [-2041.0]]
        found = fit_composition(values, structures, species, 2, ENERGY, {0: -13.6})
        np.testing.assert_allclose(found, [[-13.6], [-2041.0]], rtol=1e-10)

    def test_missing_labels_do_not_count(self):
        dataset = water_like(5)
        structures = dataset.structures
        species = (structures.types == 8).astype(np.int64)
        values = np.add.reduceat(np.eye(2)[species], structures.offsets[:-1]) @ [[-1.0], [-5.0]]
        values[2] = np.nan
        found = fit_composition(values, structures, species, 2, ENERGY, {})
        np.testing.assert_allclose(found, [[-1.0], [-5.0]], rtol=1e-10)

    def test_one_number_is_meant_for_every_element(self):
        assert fixed_composition(-5.0, (1, 6, 8)) == {0: -5.0, 1: -5.0, 2: -5.0}

    def test_a_baseline_for_an_absent_element_is_refused(self):
        with pytest.raises(OptionsError, match=r"atomic types \[7\]"):
            fixed_composition({7: 1.0}, (1, 6, 8))


def perfect_but(batch, value_error: float, force_error: float) -> dict[str, Prediction]:
    """Predictions that are off by these numbers everywhere, NaN labels taken as zero."""
    target = batch.targets["energy"]
    return {
        "energy": Prediction(
            torch.nan_to_num(target.values) + value_error,
            {"positions": torch.nan_to_num(target.gradients["positions"]) + force_error},
        )
    }


class TestLoss:
    @pytest.mark.parametrize(
        ("spec", "expected"),
        [
            # energies are divided by the number of atoms: 2, 3 and 4
            ("mse", np.mean([1 / 2**2, 1 / 3**2, 1 / 4**2]) + 0.25),
            ("mae", np.mean([1 / 2, 1 / 3, 1 / 4]) + 0.5),
            (
                {"energy": {"weight": 3.0, "forces": {"weight": 0.0}}},
                3 * np.mean([1 / 4, 1 / 9, 1 / 16]),
            ),
            ({"energy": {"weight": 0.0, "gradients": {"positions": "mae"}}}, 0.5),
            (
                {"energy": {"weight": 0.0, "forces": {"type": "huber", "delta": 0.1}}},
                0.1 * (0.5 - 0.05),
            ),
        ],
    )
    def test_types_weights_and_short_forms(self, spec, expected):
        batch = store_of(water_like()).batch(torch.arange(3))
        loss = Loss(loss_terms(spec, INFO.targets))
        assert float(loss(perfect_but(batch, 1.0, 0.5), batch)) == pytest.approx(expected)

    def test_per_structure_targets_are_not_divided(self):
        batch = store_of(water_like()).batch(torch.arange(3))
        whole = {"energy": replace(INFO.targets["energy"], per_structure=True)}
        loss = Loss(loss_terms("mse", whole))
        assert float(loss(perfect_but(batch, 1.0, 0.0), batch)) == pytest.approx(1.0)

    def test_missing_labels_are_masked(self):
        dataset = water_like()
        dataset.labels["energy"].values[1] = np.nan
        batch = store_of(dataset).batch(torch.arange(3))
        loss = Loss(loss_terms("mse", INFO.targets))
        expected = np.mean([1 / 2**2, 1 / 4**2])
        assert float(loss(perfect_but(batch, 1.0, 0.0), batch)) == pytest.approx(expected)

    def test_a_batch_without_labels_gives_zero(self):
        dataset = water_like()
        dataset.labels["energy"].values[:] = np.nan
        dataset.labels["energy"].gradients["positions"][:] = np.nan
        batch = store_of(dataset).batch(torch.arange(3))
        loss = Loss(loss_terms("mse", INFO.targets))
        assert float(loss(perfect_but(batch, 1.0, 1.0), batch)) == 0.0

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ({"energi": "mse"}, "did you mean 'energy'"),
            ({"energy": {"stress": {"weight": 2.0}}}, "has 'positions'|has \\['positions'\\]"),
        ],
    )
    def test_a_loss_on_what_the_data_lack_is_refused(self, spec, message):
        with pytest.raises(OptionsError, match=message):
            loss_terms(spec, INFO.targets)


# elements without a label: an energy, a component of a force, a row of a stress and a whole one
MISSING = {"": 1, "positions": 1, "strain": 3 + 9}


def twice(metrics: list[Metric]) -> list[Metric]:
    """For a model whose numbers are half an eV."""
    return [replace(metric, factor=2 * metric.factor) for metric in metrics]


class TestMetrics:
    def test_errors_are_in_meV_per_atom_and_meV_per_angstrom(self):
        store = store_of(water_like())
        batch = store.batch(torch.arange(3))
        metrics = metrics_of(INFO.targets, "angstrom")
        errors = EpochErrors(twice(metrics), store, None)
        errors.update(perfect_but(batch, 1.0, 0.5), batch)
        assert [(metric.label, metric.unit) for metric in metrics] == [
            ("energy", "meV/atom"),
            ("forces", "meV/A"),
        ]
        results = errors.results()
        # the scale of 2 turned the model's numbers into eV
        assert results["forces RMSE"] == pytest.approx(1000)
        assert results["energy MAE"] == pytest.approx(2000 * np.mean([1 / 2, 1 / 3, 1 / 4]))

    @pytest.mark.parametrize("missing", [False, True])
    def test_a_prediction_of_nan_is_no_missing_label(self, missing):
        dataset = water_like()
        if missing:
            dataset.labels["energy"].values[0] = np.nan
        store = store_of(dataset)
        batch = store.batch(torch.arange(3))
        errors = EpochErrors(metrics_of(INFO.targets, "angstrom"), store, None)
        errors.update(perfect_but(batch, np.nan, 0.5), batch)
        results = errors.results()
        assert results["energy RMSE"] == np.inf
        assert selection_metric("rmse_prod", results, errors.metrics) == np.inf

    def test_arrays_give_what_tensors_give(self):
        """Energies by atom, the stress by volume where there is one, labels that are missing."""
        generator = np.random.default_rng(0)
        energy = replace(ENERGY, gradients=("positions", "strain"))
        num_atoms, volumes = np.array([2, 3, 4]), np.array([10.0, np.nan, 20.0])
        shapes = {"": (3, 1), "positions": (9, 3), "strain": (3, 3, 3)}
        for metric in metrics_of({"energy": energy}, "angstrom"):
            predicted, label = generator.normal(size=(2, *shapes[metric.gradient]))
            label[0, 0] = np.nan
            arrays = (predicted, label, num_atoms, volumes)
            of_arrays = ErrorSums(metric)
            of_arrays.add(*arrays)
            of_tensors = ErrorSums(metric, torch.zeros(3, dtype=torch.float64))
            of_tensors.add(*(torch.from_numpy(array) for array in arrays))
            assert of_arrays.number == of_tensors.number == label.size - MISSING[metric.gradient]
            assert of_arrays.rmse == pytest.approx(of_tensors.rmse, rel=1e-12)
            assert of_arrays.mae == pytest.approx(of_tensors.mae, rel=1e-12)

    def test_a_virial_without_a_volume_is_no_stress(self):
        metric = metrics_of({"energy": replace(ENERGY, gradients=("strain",))}, "angstrom")[1]
        errors = ErrorSums(metric)
        errors.add(np.ones((2, 3, 3)), np.zeros((2, 3, 3)), np.ones(2), np.array([np.nan, 4.0]))
        assert (errors.number, errors.mae) == (9, pytest.approx(1e3 / 4))

    def test_halving_either_error_counts_the_same(self):
        halved_energy = {"energy RMSE": 1.0, "forces RMSE": 100.0}
        halved_forces = {"energy RMSE": 2.0, "forces RMSE": 50.0}
        metrics = metrics_of(INFO.targets, "angstrom")
        assert selection_metric("rmse_prod", halved_energy, metrics) == 100.0
        assert selection_metric("rmse_prod", halved_forces, metrics) == 100.0

    def test_errors_of_the_size_of_rounding_choose_no_model(self):
        """Such as those of forces that are zero by symmetry."""
        metrics = metrics_of(INFO.targets, "angstrom")
        better = {"energy RMSE": 1.0, "forces RMSE": 2e-13}
        worse = {"energy RMSE": 2.0, "forces RMSE": 1e-14}
        of_better, of_worse = (
            selection_metric("rmse_prod", results, metrics) for results in (better, worse)
        )
        assert of_better < of_worse

    @pytest.mark.parametrize("kind", ["rmse_prod", "mae_prod"])
    def test_without_labels_no_model_is_better(self, kind):
        """The product of nothing would be 1, and the first epoch the best."""
        nothing = {
            f"{name} {kind[:4].removesuffix('_').upper()}": np.nan for name in ("energy", "forces")
        }
        assert np.isnan(selection_metric(kind, nothing, metrics_of(INFO.targets, "angstrom")))

    def test_a_loss_of_nan_is_not_the_best(self):
        assert selection_metric("loss", {"loss": np.nan}, []) == np.inf


def test_a_dry_run_stops_where_the_loss_is_not_finite():
    store, batches = store_of(water_like()), [torch.arange(3)]
    cost = try_largest_batch(store, batches, lambda batch: torch.tensor(1.0), 7)
    assert (cost.steps_per_epoch, cost.num_epochs) == (1, 7)
    with pytest.raises(UserError, match="loss of the first step is nan"):
        try_largest_batch(store, batches, lambda batch: torch.tensor(np.nan), 7)


HYPERS = {
    "learning_rate": 1e-2,
    "warmup_fraction": 0.1,
    "scheduler": {"type": "cosine", "min_learning_rate": 1e-4, "factor": 0.5, "patience": 1},
}


class TestProgressBar:
    PROGRAM = (
        "from mt_shared.engine.report import Report\nfrom pathlib import Path\nimport time\n"
        "hypers = {'num_epochs': 3, 'log_interval': 1, 'log_mae': False}\n"
        "report = Report(Path(), [], hypers, [])\n"
        "losses = {'train loss': 0.5, 'val loss': 0.25, 'learning rate': 1.0}\n"
        "for number in (1, 2, 3):\n    time.sleep(0.15)\n"
        "    report.epoch({'epoch': number, **losses})\nreport.bar.close()"
    )

    def test_a_terminal_shows_epochs_losses_and_time(self, tmp_path):
        terminal, end = pty.openpty()
        program = [sys.executable, "-c", self.PROGRAM]
        subprocess.run(program, stderr=end, check=True, timeout=60, cwd=tmp_path)
        assert select.select([terminal], [], [], 10)[0], "nothing was shown"
        shown = os.read(terminal, 65536).decode()
        assert "2/3" in shown
        assert "loss 5.00e-01, val 2.50e-01" in shown

    def test_a_narrow_terminal_shows_the_losses_whole(self, tmp_path):
        terminal, end = pty.openpty()
        program = [sys.executable, "-c", self.PROGRAM]
        narrow = {**os.environ, "COLUMNS": "48", "LINES": "24"}
        subprocess.run(program, stderr=end, check=True, timeout=60, cwd=tmp_path, env=narrow)
        assert select.select([terminal], [], [], 10)[0], "nothing was shown"
        lines = re.split(r"[\r\n]", os.read(terminal, 65536).decode())
        assert any("2/3, loss 5.00e-01, val 2.50e-01" in line for line in lines)
        assert max(len(line.replace("\x1b[A", "")) for line in lines) <= 48

    def test_a_file_gets_no_bar(self, tmp_path):
        program = [sys.executable, "-c", self.PROGRAM]
        done = subprocess.run(program, capture_output=True, check=True, cwd=tmp_path)
        assert done.stderr == b""


class TestSchedule:
    @pytest.mark.parametrize(
        ("progress", "expected"), [(0.0, 0.0), (0.05, 5e-3), (0.1, 1e-2), (0.55, 5e-3), (1.0, 0.0)]
    )
    def test_warm_up_then_cosine(self, progress, expected):
        assert Schedule(HYPERS).rate(progress) == pytest.approx(expected, abs=1e-12)

    def test_plateau_lowers_the_rate_when_nothing_improves(self):
        schedule = Schedule(HYPERS | {"scheduler": HYPERS["scheduler"] | {"type": "plateau"}})
        rates = []
        for metric in (1.0, 0.9, 0.9, 0.9, 0.9, 0.9):
            schedule.after_epoch(metric)
            rates.append(schedule.rate(0.5))
        assert rates == [1e-2, 1e-2, 1e-2, 5e-3, 5e-3, 2.5e-3]

    def test_state_goes_through_a_checkpoint(self):
        schedule = Schedule(HYPERS | {"scheduler": HYPERS["scheduler"] | {"type": "plateau"}})
        for metric in (1.0, 2.0, 2.0):
            schedule.after_epoch(metric)
        other = Schedule(HYPERS | {"scheduler": HYPERS["scheduler"] | {"type": "plateau"}})
        other.load_state(schedule.state())
        assert other.rate(0.5) == schedule.rate(0.5)
        assert math.isclose(other.best, 1.0)
