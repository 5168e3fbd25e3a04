# /// script
# requires-python = ">=3.10"
# dependencies = ["ase==3.29.0", "numpy==2.4.6", "tblite==0.8.0"]
# ///
"""Make, or check, the data sets that mt-core ships.

    hatch run scripts/data/make_examples.py                # make both again, about ten minutes
    hatch run scripts/data/make_examples.py ice            # one of them
    hatch run scripts/data/make_examples.py --check        # recompute some frames and compare

Structures are sampled by Langevin dynamics, their positions rounded to the digits of the file,
and only then labelled, each from scratch: what a file holds is the label of exactly the structure
that it holds. The same seed on the same machine gives the same files. Another machine rounds
differently, its trajectory parts from ours and its structures are other ones of the same kind;
``--check`` therefore compares labels of the stored structures, on any machine.

Units: eV, angstrom, e*angstrom, eV/angstrom^3. The documentation of ``tblite.ase`` says that
dipoles are in debye; its code, and the water molecule (0.476, that is 2.29 debye), say e*angstrom.
"""

from __future__ import annotations

import argparse
import os
import platform
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from string import Template
from typing import Any

# Sums over several threads come in no fixed order, and the trajectory would follow them.
os.environ["OMP_NUM_THREADS"] = "1"

import ase.io
import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.data import chemical_symbols
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from tblite.ase import TBLite

EXAMPLES_FOLDER = Path(__file__).parents[2] / "packages/mt-core/src/mt_core/examples"
SEED = 20260401
LABEL_METHOD = "GFN2-xTB"
LABEL_ACCURACY = 0.01  # of tblite: a hundredth of its usual threshold of self-consistency
ELECTRONIC_TEMPERATURE = 300.0  # K, the default of xTB
MULTIPLICITIES = {"H": 2, "C": 3, "N": 4, "O": 3}

TIME_STEP = 1.0  # fs
FRICTION = 0.02  # 1/fs
EQUILIBRATION_STEPS = 500
# Configurations of classical particles do not depend on masses; deuterium allows 1 fs.
SAMPLING_MASS_H = 2.014

# Half a unit of the last digit in the files, and what self-consistency leaves.
TOLERANCES = {"energy": 2e-7, "forces": 2e-6, "dipole": 5e-6, "stress": 3e-8}
# Differences of four points. The strain is tiny because energies of a periodic xTB are not smooth:
# with larger ones, atoms cross the cutoffs of its sums in real space.
DISPLACEMENT, FORCE_TOLERANCE = 1e-3, 1e-5
STRAIN, STRESS_TOLERANCE = 3e-5, 1e-6

Labels = dict[str, np.ndarray]


@dataclass(frozen=True)
class Example:
    """One data set: where it starts, how it is sampled, what it says of itself."""

    name: str
    title: str
    start: Callable[[], Atoms]
    description: str
    num_frames: int
    temperatures: tuple[float, float]  # K, one drawn for each frame
    steps_between_frames: int
    max_strain: float = 0.0  # each component of the strain is drawn for each frame from +- this
    sampling_method: str = LABEL_METHOD
    labels: tuple[str, ...] = ("energy", "forces")

    @property
    def elements(self) -> list[str]:
        """Chemical symbols, in the order of their atomic numbers."""
        return [chemical_symbols[number] for number in np.unique(self.start().numbers)]


# --- structures -------------------------------------------------------------------------------


def start_ice(lattice_constant: float = 6.38, oh_distance: float = 0.98) -> Atoms:
    """Eight water molecules of cubic ice (Ic), hydrogens ordered so that the cell has no dipole.

    The lattice constant (angstrom) is that of GFN2-xTB without temperature, within 0.01.
    """
    # two lattices centred on their faces, a quarter of the diagonal apart: that of diamond
    face = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    oxygens = lattice_constant * np.concatenate([face, face + 0.25])
    donors, bonds = _order_hydrogens(oxygens, lattice_constant)
    hydrogens = oxygens[donors] + oh_distance * bonds / np.linalg.norm(bonds, axis=1)[:, None]
    positions = np.concatenate([oxygens, hydrogens])
    return Atoms("O8H16", positions, cell=[lattice_constant] * 3, pbc=True)


def _order_hydrogens(oxygens: np.ndarray, lattice_constant: float) -> tuple[np.ndarray, np.ndarray]:
    """For each of the 16 bonds: the oxygen that gives the hydrogen, and the vector it gives along.

    All 2^16 directions of the bonds are tried; the first is taken that obeys the rules of Bernal
    and Fowler (each oxygen gives two) and whose bonds sum to zero.
    """
    first, second = np.array(list(product(range(4), range(4, 8)))).T
    # in the lattice of diamond every atom of one half is bonded to every one of the other, at its
    # nearest image
    vectors = oxygens[second] - oxygens[first]
    vectors -= lattice_constant * np.round(vectors / lattice_constant)
    # a row for each number below 2^16; its bits say which bonds point from first to second
    forward = (np.arange(2**16)[:, None] >> np.arange(16)) & 1 == 1
    donors = np.where(forward, first, second)
    gives_two = ((donors[:, :, None] == np.arange(8)).sum(axis=1) == 2).all(axis=1)
    # the energy of a periodic cell with a dipole depends on how its images are summed up
    polarisation = np.where(forward, 1, -1) @ vectors
    allowed = gives_two & (np.linalg.norm(polarisation, axis=1) < 1e-6)
    chosen = int(np.flatnonzero(allowed)[0])
    return donors[chosen], np.where(forward[chosen][:, None], vectors, -vectors)


# in the trans conformation
ETHANOL = partial(molecule, "CH3CH2OH")
EXAMPLES = (
    Example(
        name="ethanol",
        title="Ethanol at thermal distortions",
        start=ETHANOL,
        description="One molecule, C2H6O, 9 atoms, without a cell; both conformations of the "
        "hydroxyl group occur.",
        num_frames=200,
        temperatures=(500.0, 500.0),
        steps_between_frames=100,
        labels=("energy", "forces", "dipole"),
    ),
    Example(
        name="ice",
        title="Strained ice",
        start=start_ice,
        description="Eight water molecules, 24 atoms, in a periodic cell of cubic ice (Ic) that "
        "has no dipole, the cell strained anew for every structure. One k-point, "
        "Gamma: the numbers are those of this small cell, not of bulk ice.",
        num_frames=60,
        temperatures=(50.0, 300.0),
        steps_between_frames=40,
        max_strain=0.03,
        sampling_method="GFN1-xTB",
        labels=("energy", "forces", "stress"),
    ),
)


# --- sampling and labelling -------------------------------------------------------------------


# without memory of earlier structures, and silent
make_calculator = partial(TBLite, electronic_temperature=ELECTRONIC_TEMPERATURE, verbosity=0)


def sample(example: Example, seed: int) -> Iterator[Atoms]:
    """Structures of one Langevin trajectory, its cell and temperature drawn anew for each."""
    rng = np.random.default_rng(seed)
    atoms = example.start()
    reference_cell = atoms.cell.array.copy()
    # before the momenta, which are drawn for these masses
    atoms.set_masses([SAMPLING_MASS_H if s == "H" else None for s in atoms.symbols])
    atoms.calc = make_calculator(method=example.sampling_method)
    hottest = example.temperatures[1]
    thermalize_momenta(atoms, hottest, rng=rng)
    dynamics = Langevin(
        atoms,
        timestep=TIME_STEP * units.fs,
        temperature_K=hottest,
        friction=FRICTION / units.fs,
        fixcm=False,  # samples exactly; the drift is taken out below
        rng=rng,
    )
    dynamics.run(EQUILIBRATION_STEPS)
    for _ in range(example.num_frames):
        dynamics.set_temperature(temperature_K=rng.uniform(*example.temperatures))
        strain = rng.uniform(-example.max_strain, example.max_strain, size=(3, 3))
        # of the nine numbers the upper six count, so that the strain is symmetric: no rotation
        strain = np.triu(strain) + np.triu(strain, 1).T
        atoms.set_cell(reference_cell @ (np.eye(3) + strain), scale_atoms=bool(atoms.pbc.any()))
        dynamics.run(example.steps_between_frames)
        # as the file will hold it: centered, six digits, nothing else attached
        center = atoms.cell.array.sum(axis=0) / 2
        positions = (atoms.positions - atoms.positions.mean(axis=0) + center).round(6)
        yield Atoms(atoms.numbers, positions, cell=atoms.cell.array.round(6), pbc=atoms.pbc)


def label(atoms: Atoms, names: tuple[str, ...], method: str = LABEL_METHOD) -> Labels:
    """Energy, forces, dipole, stress (3, 3) of a structure, whichever are named.

    One atom is in its ground state; xTB knows its spin as an occupation only.
    """
    multiplicity = MULTIPLICITIES[atoms[0].symbol] if len(atoms) == 1 else None
    atoms = atoms.copy()
    atoms.calc = make_calculator(method=method, accuracy=LABEL_ACCURACY, multiplicity=multiplicity)
    return read_labels(atoms, names)


def read_labels(atoms: Atoms, names: tuple[str, ...]) -> Labels:
    """What the calculator of a structure, or the file that it is from, says of it."""
    labels = {name: np.asarray(atoms.calc.get_property(name, atoms)) for name in names}
    if "stress" in names:
        # ASE keeps its six numbers, in an order of their own
        labels["stress"] = atoms.get_stress(voigt=False)
    return labels


# --- files ------------------------------------------------------------------------------------


def format_frame(atoms: Atoms, labels: Labels) -> str:
    """A frame of extended xyz with as many digits as mean something (ASE writes more)."""
    columns = [atoms.positions]
    properties = "species:S:1:pos:R:3"
    if "forces" in labels:
        columns.append(labels["forces"])
        properties += ":forces:R:3"
    rows = [
        f"{symbol:2}" + "".join(f" {number:10.6f}" for number in row)
        for symbol, row in zip(atoms.symbols, np.concatenate(columns, axis=1), strict=True)
    ]
    comment = f"Properties={properties} energy={float(labels['energy']):.8f}"
    if atoms.pbc.any():
        comment = f'Lattice="{_join(atoms.cell.array, 6)}" {comment}'
    for name, digits in (("dipole", 6), ("stress", 8)):
        if name in labels:
            comment += f' {name}="{_join(labels[name], digits)}"'
    comment += ' pbc="{}"'.format(" ".join("FT"[int(flag)] for flag in atoms.pbc))
    return "\n".join([str(len(atoms)), comment, *rows]) + "\n"


def _join(numbers: np.ndarray, digits: int) -> str:
    return " ".join(f"{number:.{digits}f}" for number in numbers.ravel())


README = Template("""\
<!-- Generated by scripts/data/make_examples.py: change it there. -->
# $title

$description

| file | what |
| --- | --- |
| `$name.xyz` | $num_frames structures of $num_atoms atoms, extended xyz |
| `isolated_atoms.xyz` | the energy of one atom of each element ($elements), same method |
| `options.yaml` | `mt train options.yaml` |
| `eval.yaml` | `mt eval model.pt eval.yaml -o out.xyz` |

## Labels

| key | what | unit | mean | deviation | smallest | largest |
| --- | --- | --- | --- | --- | --- | --- |
$statistics

Positions and cells are in angstrom. Energies are totals of the method: subtract those of
`isolated_atoms.xyz` for energies of atomisation.$stress_sign

## Method

Labels: $label_method by tblite $tblite, accuracy $accuracy, electronic temperature
$electronic_temperature K, neutral, closed shell; each structure from scratch, from the positions
as they stand in the file. Isolated atoms: the same, with multiplicities $multiplicities, which in
$label_method are occupations without an energy of spin polarisation of their own.

Structures: one Langevin trajectory with $sampling_method, time step $time_step fs, friction
$friction / fs, hydrogen as heavy as deuterium; $equilibration steps of equilibration
at $hottest K, then one structure every $steps_between_frames steps, $when$strain.

Semi-empirical numbers: good to learn and to test with, not to publish with.

## How to make it again

    hatch run scripts/data/make_examples.py $name            # seed $seed
    hatch run scripts/data/make_examples.py --check $name    # recompute some frames and compare

Made with seed $seed, Python $python, tblite $tblite, ase $ase, numpy $numpy.
""")

LABEL_UNITS = {
    "energy": ("total energy", "eV"),
    "forces": ("forces on the atoms, each component", "eV/A"),
    "dipole": ("dipole moment, each component", "e*A"),
    "stress": ("stress, each component, sign of ASE", "eV/A^3"),
}


def format_readme(example: Example, frames: list[Atoms], labels: list[Labels], seed: int) -> str:
    """The README beside the data: what it is, how it was made, with what."""
    low, high = example.temperatures
    strain = f",\neach component of the strain within {example.max_strain:g} of the start"
    stress_sign = "\nStress is dE/dstrain / volume: positive where the cell wants to shrink."
    return README.substitute(
        vars(example),
        description=textwrap.fill(example.description, 100),
        num_atoms=len(frames[0]),
        elements=", ".join(example.elements),
        statistics="\n".join(_format_statistics(name, labels) for name in example.labels),
        stress_sign=stress_sign if "stress" in example.labels else "",
        label_method=LABEL_METHOD,
        accuracy=LABEL_ACCURACY,
        electronic_temperature=f"{ELECTRONIC_TEMPERATURE:g}",
        multiplicities=", ".join(f"{s} {MULTIPLICITIES[s]}" for s in example.elements),
        when=f"at {low:g} K" if low == high else f"between {low:g} and {high:g} K",
        time_step=f"{TIME_STEP:g}",
        friction=f"{FRICTION:g}",
        hottest=f"{high:g}",
        equilibration=EQUILIBRATION_STEPS,
        strain=strain if example.max_strain else "",
        seed=seed,
        **versions(),
    )


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    libraries = {name: version(name) for name in ("tblite", "ase", "numpy")}
    return {"python": platform.python_version(), **libraries}


def _format_statistics(name: str, labels: list[Labels]) -> str:
    what, unit = LABEL_UNITS[name]
    values = np.stack([each[name] for each in labels])
    numbers = (values.mean(), values.std(), values.min(), values.max())
    digits = 6 if name == "stress" else 4
    # Adding 0 turns a mean of -0 into 0.
    cells = " | ".join(f"{round(float(number), digits) + 0:.{digits}f}" for number in numbers)
    return f"| `{name}` | {what} | {unit} | {cells} |"


def make_set(example: Example, folder: Path, seed: int) -> tuple[list[Atoms], list[Labels]]:
    """Sample, label and write one set, with its isolated atoms, into its folder."""
    frames: list[Atoms] = []
    labels: list[Labels] = []
    for atoms in sample(example, seed):
        frames.append(atoms)
        labels.append(label(atoms, example.labels))
        print(f"\r{example.name}: {len(frames)}/{example.num_frames}", end="", flush=True)
    print()
    folder.mkdir(parents=True, exist_ok=True)
    structures = "".join(map(format_frame, frames, labels))
    (folder / f"{example.name}.xyz").write_text(structures, encoding="utf-8")
    isolated = [Atoms(symbol, positions=[[0, 0, 0]]) for symbol in example.elements]
    energies = "".join(format_frame(atoms, label(atoms, ("energy",))) for atoms in isolated)
    (folder / "isolated_atoms.xyz").write_text(energies, encoding="utf-8")
    return frames, labels


# --- checks -----------------------------------------------------------------------------------


def check(example: Example, folder: Path, num_frames: int) -> list[str]:
    """Compare stored labels with computed ones, and computed ones with finite differences."""
    frames = ase.io.read(folder / f"{example.name}.xyz", index=":")
    # spread over the file: the trajectory may part from its method anywhere
    chosen = np.linspace(0, len(frames) - 1, num_frames).round().astype(int)
    faults = []
    for number in chosen:
        faults += compare(f"{example.name} frame {number}", frames[number], example.labels)
    for atoms in ase.io.iread(folder / "isolated_atoms.xyz"):
        faults += compare(f"{example.name} isolated", atoms, ("energy",))
    return faults + _check_derivatives(example, frames[chosen[0]])


def compare(
    where: str, stored: Atoms, names: tuple[str, ...], method: str = LABEL_METHOD
) -> list[str]:
    """The labels of a file against those that the method gives now."""
    found, computed = read_labels(stored, names), label(stored, names, method)
    faults = []
    for name in names:
        faults += _judge(f"{where} {name}", found[name] - computed[name], TOLERANCES[name])
    return faults


def _judge(what: str, deviation: np.ndarray, tolerance: float) -> list[str]:
    """Print the largest deviation; the line again, as a fault, if it is beyond the tolerance."""
    largest = float(np.abs(deviation).max())
    line = f"{what}: largest deviation {largest:.1e}, allowed {tolerance:.0e}"
    print(line)
    return [] if largest <= tolerance else [line]


def _check_derivatives(example: Example, atoms: Atoms) -> list[str]:
    """Compare the forces on the first and the last atom, and the stress, with differences."""
    labels = label(atoms, example.labels)
    atoms = atoms.copy()
    atoms.calc = make_calculator(method=LABEL_METHOD, accuracy=LABEL_ACCURACY)
    where = f"{example.name} finite differences of"
    ends = [0, len(atoms) - 1]
    forces = _from_four_points(calculate_numerical_forces, DISPLACEMENT, atoms, iatoms=ends)
    faults = _judge(f"{where} forces", labels["forces"][ends] - forces, FORCE_TOLERANCE)
    if "stress" in labels:
        stress = _from_four_points(calculate_numerical_stress, STRAIN, atoms, voigt=False)
        faults += _judge(f"{where} stress", labels["stress"] - stress, STRESS_TOLERANCE)
    return faults


def _from_four_points(
    differences: Callable[..., np.ndarray], step: float, atoms: Atoms, **options: Any
) -> np.ndarray:
    # TBLite has no energy that it calls free
    options["force_consistent"] = False
    near, far = (differences(atoms, eps=eps, **options) for eps in (step, 2 * step))
    # the error of each is of the order of step^2, and these terms cancel
    return (4 * near - far) / 3


def parse_arguments(
    parser: argparse.ArgumentParser, sets: tuple[Example, ...], seed: int
) -> tuple[argparse.Namespace, list[Example]]:
    """The command line, and the sets that it names: without names all of them."""
    names = [example.name for example in sets]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ({', '.join(names)}; all)")
    parser.add_argument("--seed", type=int, default=seed, help="default: %(default)s")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(names))
    if unknown:
        parser.error(f"no set {', '.join(unknown)}; there are {', '.join(names)}")
    return arguments, [each for each in sets if not arguments.names or each.name in arguments.names]


def main() -> None:
    parser = argparse.ArgumentParser(description="Make or check the data sets of mt-core.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--frames", type=int, default=5, help="how many to compare (%(default)s)")
    parser.add_argument("--folder", type=Path, default=EXAMPLES_FOLDER, help="where they lie")
    arguments, chosen = parse_arguments(parser, EXAMPLES, SEED)
    faults = []
    for example in chosen:
        folder = arguments.folder / example.name
        if arguments.check:
            faults += check(example, folder, arguments.frames)
            continue
        frames, labels = make_set(example, folder, arguments.seed)
        readme = format_readme(example, frames, labels, arguments.seed)
        (folder / "README.md").write_text(readme, encoding="utf-8")
    if faults:
        raise SystemExit("\n".join(f"FAILED {fault}" for fault in faults))


if __name__ == "__main__":
    main()
