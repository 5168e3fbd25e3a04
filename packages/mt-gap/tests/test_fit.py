"""The fit: against a Gaussian process without sparse points, and against its own derivatives."""

import ase.build
import numpy as np
import pytest
import torch
from ase.calculators.emt import EMT
from metatomic_ase import MetatomicCalculator

from mt_gap.data import gather, less
from mt_gap.environments import by_strain, densities
from mt_gap.fitting import Noise, fit, raw_predictions, unexplained
from mt_gap.model import Gap
from mt_shared.data import TargetLabels

NOISE = Noise(energy=0.02, forces=0.1, virial=0.2, distrust=np.ones(4))


def squares(model, structures):
    """Squares of the descriptors by species, summed over each structure, with their gradients.

    In these features (S + G, T F F) the kernel of degree two is an inner product.
    """
    num_features, num_systems = model.spectrum.num_features(), structures.num_systems
    shape = (model.num_species, num_features, num_features)
    energies = torch.zeros(num_systems, *shape, dtype=torch.float64)
    gradients = torch.zeros(3 * structures.num_atoms + 9 * num_systems, *shape).double()
    for few in densities(model, structures, ["positions", "strain"]):
        points = model.spectrum(few.coefficients)
        products = points[:, :, None] * points[:, None, :]
        energies[:, few.species].index_add_(0, few.system, products)
        for each in few.derivatives:
            rows = model.spectrum.derivatives(few.coefficients, each.coefficients, each.atoms)
            half = rows[:, :, None] * points[each.atoms][:, None, :]
            gradients[:, few.species].index_add_(0, each.places, half + half.transpose(1, 2))
    return torch.cat([energies.flatten(1), by_strain(structures, gradients).flatten(1)])


def test_fit_is_the_gaussian_process(info, hypers, dataset, frames):
    """With all environments and all directions, nothing is lost by sparse points."""
    model = Gap(hypers({"krr": {"num_sparse_points": 1000, "num_directions": 36}}).model, info)
    data = gather(model, [dataset(frames(4))])
    mean = TargetLabels(np.full((4, 1), data.labels.values.mean()))
    data, new = less(data, mean), gather(model, [dataset(frames(2, seed=50))])
    fit(model, data, NOISE, typical=1.0, check=lambda: None)
    found = raw_predictions(model, new.structures, ["positions", "strain"])

    features, others = squares(model, data.structures), squares(model, new.structures)
    labels = torch.cat([torch.from_numpy(data.labels.values[:, 0]), data.flat_gradients()])
    roots = torch.from_numpy(data.structures.atoms_per_system).to(torch.float64).sqrt()
    of_forces = torch.full((3 * data.structures.num_atoms,), NOISE.forces).double()
    of_strain = (NOISE.virial * roots).repeat_interleave(9)
    noise = torch.cat([NOISE.energy * roots, of_forces, of_strain])
    known = torch.isfinite(labels)
    covariance = features[known] @ features[known].T + torch.diag(noise[known] ** 2)
    expected = others @ (features[known].T @ torch.linalg.solve(covariance, labels[known]))
    flat = [found.values, found.gradients["positions"], found.gradients["strain"]]
    flat = np.concatenate([each.ravel() for each in flat])
    np.testing.assert_allclose(flat, expected.numpy(), rtol=0, atol=1e-6)


def test_predictions_are_those_of_the_model(train, dataset, frames):
    """The report's way and the engines' way leave the same of energies, forces and stress."""
    model = train(dataset(frames(6)))
    new = frames(4, seed=70)
    left = unexplained(model, gather(model, [dataset(new)]))
    calculator = MetatomicCalculator(model.export(), device="cpu")
    found = {"values": [], "positions": [], "strain": []}
    for atoms in new:
        labels = atoms.get_potential_energy(), atoms.get_forces()
        volume = atoms.get_volume() if atoms.pbc.all() else np.nan
        stress = atoms.get_stress(voigt=False) if atoms.pbc.all() else np.nan
        atoms.calc = calculator
        found["values"].append([labels[0] - atoms.get_potential_energy()])
        found["positions"] += (atoms.get_forces() - labels[1]).tolist()
        if atoms.pbc.all():
            found["strain"].append(volume * (stress - atoms.get_stress(voigt=False)))
    gradients = left.labels.gradients
    np.testing.assert_allclose(left.labels.values, found["values"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(gradients["positions"], found["positions"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(gradients["strain"][1::2], found["strain"], rtol=0, atol=1e-8)


@pytest.mark.parametrize("number", [0, 2])
def test_more_noise_means_larger_errors(train, dataset, frames, hypers, number):
    """The regularizers are obeyed, with and without directions."""
    data = dataset(frames(6))
    errors = []
    for noise in (1e-3, 1.0):
        krr = {"krr": {"num_directions": number}}
        model = train(data, hypers(krr, {"regularizer": noise}))
        found = raw_predictions(model, data.structures, ["positions"]).gradients["positions"]
        scale = float(model.baselines["energy"].scale)
        errors.append(np.abs(scale * found - data.labels["energy"].gradients["positions"]).mean())
    assert errors[0] < 0.8 * errors[1], f"mean errors of the forces: {errors}"


def test_directions_help(train, dataset, frames, hypers):
    """Slopes of the kernel at few points explain more than the kernel alone."""
    data, new = dataset(frames(12)), dataset(frames(8, seed=90))
    errors = []
    for number in (0, 3):
        model = train(data, hypers({"krr": {"num_sparse_points": 40, "num_directions": number}}))
        found = raw_predictions(model, new.structures, ["positions"]).gradients["positions"]
        scale = float(model.baselines["energy"].scale)
        errors.append(np.abs(scale * found - new.labels["energy"].gradients["positions"]).mean())
    assert errors[1] < 0.9 * errors[0], f"mean errors of the forces: {errors}"


def test_a_few_wrong_labels_do_not_spoil_the_others(train, dataset, frames):
    """Least squares alone would follow before all others the forces that are 1e4 times too large,
    and the energy that is written as zero.
    """
    all_frames, new = frames(24), frames(4, seed=70)
    data = dataset(all_frames, shift=-500.0)
    offsets = data.structures.offsets
    data.labels["energy"].gradients["positions"][offsets[4] : offsets[5]] *= 1e4
    data.labels["energy"].values[11] = 0.0
    left = [
        unexplained(model, gather(model, [dataset(new, shift=-500.0)])).labels
        for model in (train(dataset(all_frames, shift=-500.0)), train(data))
    ]
    for part in ("values", "positions", "strain"):
        right, wrong = (np.nanstd(labels.parts[part]) for labels in left)
        assert wrong < 1.5 * right, part


def test_cells_whose_forces_are_zero_by_symmetry(train, hypers, dataset):
    """The typical size of labels, by which a noise is small or large, is not that of the forces."""
    volumes = np.linspace(0.8, 1.3, 12)
    cells = [ase.build.bulk("H", "fcc", a=2.8 * volume ** (1 / 3)) for volume in volumes]
    for atoms in cells:
        atoms.calc = EMT()
    data = dataset(cells)
    model = train(data, hypers(training={"regularizer": 0.001}))
    left = unexplained(model, gather(model, [data])).labels
    assert np.abs(left.gradients["positions"]).max() < 1e-8
    assert np.std(left.values) < 0.05 * np.std(data.labels["energy"].values)
    strain = data.labels["energy"].gradients["strain"]
    assert np.std(left.gradients["strain"]) < 0.05 * np.std(strain)
