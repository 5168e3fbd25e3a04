"""Files of predictions are read back as labels: whatever a target is, each number returns."""

from itertools import product

import ase.io
import numpy as np
import pytest

from mt_core.evaluation import Predictions
from mt_core.evaluation.prediction_files import open_writer, plain_name
from mt_shared.contract import Cartesian, Scalar, Spherical
from mt_shared.data import Structures, read_dataset
from mt_shared.options import DatasetSpec, SystemsSpec, TargetSpec

STRUCTURES = Structures(
    positions=np.arange(18.0).reshape(6, 3),
    types=np.array([1, 1, 8, 8, 6, 1], dtype=np.int32),
    cells=np.zeros((3, 3, 3)),
    pbc=np.zeros((3, 3), dtype=bool),
    offsets=np.array([0, 1, 3, 6]),
)
KINDS = {
    "scalar": Scalar(),
    "vector": Cartesian(1),
    "matrix": Cartesian(2),
    "tensor": Cartesian(3),
    "one number": Spherical(((0, 1),)),
    "three irreps": Spherical(((0, 1), (1, 1), (2, -1))),
}
EACH = list(product(KINDS, ["system", "atom"], [1, 3]))


@pytest.mark.parametrize("name", ["mtt::x", "energy"])
@pytest.mark.parametrize(("kind", "sample_kind", "num_subtargets"), EACH)
@pytest.mark.parametrize("ending", ["xyz", "mts"])
def test_each_number_returns(tmp_path, ending, kind, sample_kind, num_subtargets, name):
    shape = (*KINDS[kind].components, num_subtargets)
    per_atom = sample_kind == "atom"
    number = STRUCTURES.num_atoms if per_atom else STRUCTURES.num_systems
    values = np.random.default_rng(0).normal(size=(number, *shape))
    with open_writer(tmp_path / f"out.{ending}") as writer:
        predicted = Predictions(values, per_atom, type=KINDS[kind])
        writer.write(STRUCTURES, {name: predicted})
    with open_writer(tmp_path / "structures.xyz") as structures:
        structures.write(STRUCTURES, {})
    plain = plain_name(name)
    # what ASE calls the energy of an atom
    key = "energies" if (name, kind, sample_kind, num_subtargets) == OF_ATOMS else plain
    target = TargetSpec(
        name=name,
        key=key,
        read_from=str(writer.files[0]),
        sample_kind=sample_kind,
        type=KINDS[kind].to_dict(),
        num_subtargets=num_subtargets,
    )
    systems = SystemsSpec(str(tmp_path / "structures.xyz"), length_unit="angstrom")
    found = read_dataset(DatasetSpec(systems, (target,))).labels[name].values
    # extended xyz has eight decimals of atoms
    np.testing.assert_allclose(found, values, atol=1e-8)


OF_ATOMS = ("energy", "scalar", "atom", 1)


def test_several_energies_of_a_structure_are_all_written(tmp_path):
    values = np.arange(6.0).reshape(3, 2)
    with open_writer(tmp_path / "out.xyz") as writer:
        writer.write(STRUCTURES, {"energy": Predictions(values, per_atom=False)})
    last = ase.io.read(tmp_path / "out.xyz", ":")[-1]
    np.testing.assert_array_equal(last.get_potential_energy(), values[-1])
