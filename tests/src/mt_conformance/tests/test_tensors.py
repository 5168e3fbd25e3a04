"""Vectors and spherical tensors, where an architecture names them among its targets."""

from dataclasses import dataclass

import ase
import numpy as np
import pytest
import torch

from mt_conformance.inputs import (
    ATOMIC_TYPES,
    GUISES,
    Examples,
    Subject,
    abilities,
    block_of,
    blocks_of,
    needs,
    new_model,
    turned,
)
from mt_conformance.runs import Predictor, exported_predictor
from mt_conformance.tests.comparing import assert_close
from mt_conformance.tests.test_symmetries import SYMMETRIES
from mt_shared.contract import Cartesian, DatasetInfo, Spherical, TargetInfo, TargetType

NAME = "mtt::tensor"
NUM_SUBTARGETS = 2
TYPES: dict[str, TargetType] = {
    "cartesian": Cartesian(1),
    "spherical": Spherical(((0, 1), (1, 1), (2, 1))),
}

# a fit in closed form has no random weights, and the suite has no tensors to fit it to
pytestmark = needs(abilities.epochs)


@dataclass(frozen=True)
class Tensors:
    """A model of one target that is a tensor."""

    predictor: Predictor
    target: TargetInfo

    def values(self, atoms: ase.Atoms) -> list[torch.Tensor]:
        """The values (N, C, ..., P) of each block, in the order of ``blocks_of``."""
        result = self.predictor.run([atoms], {NAME: self.target.sample_kind})[NAME]
        blocks = [block_of(result, keys) for keys, _ in blocks_of(self.target.type)]
        return [block.values.detach().to(torch.float64) for block in blocks]


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(
            (kind, samples), marks=needs(abilities.target(kind, samples)), id=f"{kind}-{samples}"
        )
        for kind in TYPES
        for samples in ("system", "atom")
    ],
)
def tensors(request: pytest.FixtureRequest, subject: Subject) -> Tensors:
    """A model with random weights, exported."""
    kind, samples = request.param
    target = TargetInfo(sample_kind=samples, type=TYPES[kind], num_subtargets=NUM_SUBTARGETS)
    model = new_model(subject, DatasetInfo("angstrom", ATOMIC_TYPES, {NAME: target}))
    return Tensors(exported_predictor(model.export()), target)


def test_tensors_are_labelled(tensors: Tensors, examples: Examples) -> None:
    """A Cartesian tensor is one block with the components `xyz`; a spherical one has a block for
    each irreducible representation, named by `o3_lambda` and `o3_sigma`, with components `o3_mu`.

    IF IT FAILS: the message says what is labelled otherwise; follow metatensor's names.
    """
    structures = examples.both()
    kind = tensors.target.sample_kind
    result = tensors.predictor.run(structures, {NAME: kind})[NAME]
    wanted = blocks_of(tensors.target.type)
    assert len(result) == len(wanted), f"{len(result)} blocks; expected {len(wanted)}"
    num_samples = sum(map(len, structures)) if kind == "atom" else len(structures)
    for keys, components in wanted:
        block = block_of(result, keys)
        names = ["system", "atom"] if kind == "atom" else ["system"]
        assert block.samples.names == names, f"samples are {block.samples.names}; expected {names}"
        assert len(block.samples) == num_samples, f"{len(block.samples)} rows of {num_samples}"
        assert block.components == components, (
            f"the components of {keys} are {block.components}; expected {components}"
        )
        columns = len(block.properties)
        assert columns == NUM_SUBTARGETS, f"{columns} properties; expected {NUM_SUBTARGETS}"


def test_tensors_are_not_zero(tensors: Tensors, examples: Examples) -> None:
    """A molecule without symmetry has tensors that are finite, and not zero.

    IF IT FAILS: the other tests of tensors are void. Is the output connected to the network?
    """
    for values in tensors.values(examples.ethanol()[0]):
        assert bool(values.isfinite().all()), f"the values are not finite: {values.tolist()}"
        assert float(values.abs().max()) > 1e-6, f"all values are zero: {values.tolist()}"


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_tensors_follow(same: float, tensors: Tensors, examples: Examples, symmetry: str) -> None:
    """Tensors turn with the structure, are inverted by parity, and stay in every other guise.

    IF IT FAILS: a spherical tensor has its components in the order of m from -l to l (for l = 1: y,
    z, x), and with `o3_sigma` 1 the parity (-1)^l; a vector changes its sign in an inversion.
    """
    for atoms in examples.both(1, 1):
        guise = GUISES[symmetry](atoms)
        matrix = np.asarray(guise.matrix)
        before, found = tensors.values(atoms), tensors.values(guise.atoms)
        for (keys, _), old, new in zip(blocks_of(tensors.target.type), before, found):
            if tensors.target.per_atom:
                old = old[guise.order]
            expected = turned(old, tensors.target.type, keys, matrix)
            what = f"{keys} of {atoms.symbols} after a change of {symmetry}"
            assert_close(new, expected, same, what)
