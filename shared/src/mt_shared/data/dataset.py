"""A data set in memory: structures, their labels, and which labels are really there.

Letters of shapes: A atoms, S structures, P sub-targets, N samples (S or A).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import SupportsIndex

import numpy as np
from metatomic.torch import NeighborListOptions
from numpy.typing import ArrayLike, NDArray

from mt_shared.contract import Scalar, TargetInfo, TargetType, target_type_from_dict
from mt_shared.data.samples import Sample, make_sample
from mt_shared.data.structures import Structures
from mt_shared.errors import DataError
from mt_shared.options import TargetSpec

# What the status of a structure says of one label.
MISSING, FOUND, NOT_FINITE, IMPOSSIBLE = np.int8(0), np.int8(1), np.int8(2), np.int8(3)

# The part of a label that is no gradient.
VALUES = "values"


@dataclass(frozen=True)
class TargetLabels:
    """The labels of one target, or the numbers of one input; NaN where a label is missing.

    ``values`` is (N, P) for scalars, (N, 3, ..., P) for Cartesian and (N, M, P) for spherical
    tensors, with a sample per structure or per atom (``sample_kind``). ``gradients`` may hold
    ``positions`` (A, 3), dE/dr = -forces, and ``strain`` (S, 3, 3), dE/dstrain = stress * volume
    = -virial, symmetric. Units are those of the file; ``gradient_kinds`` says which word the
    file had: forces, stress or virial.
    """

    values: NDArray[np.float64]
    gradients: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    sample_kind: str = "system"
    unit: str = ""
    gradient_kinds: dict[str, str] = field(default_factory=dict)
    type: TargetType = field(default_factory=Scalar)
    quantity: str = ""

    @property
    def parts(self) -> dict[str, NDArray[np.float64]]:
        """The values and the gradients."""
        return {VALUES: self.values, **self.gradients}

    def is_per_atom(self, part: str) -> bool:
        """Whether the rows of a part are atoms."""
        return part == "positions" or (part == VALUES and self.sample_kind == "atom")

    def subset(self, systems: NDArray[np.int64], atoms: NDArray[np.int64]) -> TargetLabels:
        """The labels of some structures, whose atoms are given as well."""
        parts = {
            part: array[atoms if self.is_per_atom(part) else systems]
            for part, array in self.parts.items()
        }
        return replace(self, values=parts.pop(VALUES), gradients=parts)


Status = dict[tuple[str, str], NDArray[np.int8]]


@dataclass(frozen=True)
class Dataset:
    """Structures with their labels, as one file or several files gave them.

    It has a sample of each structure: ``dataset[0].system``, ``for sample in dataset``; a
    ``DataLoader`` or ``Subset`` of torch takes it as it is. Who works on all structures at once
    takes the arrays.

    :param frames: (S,) number of each structure in its file, the first is 0
    :param extra: the inputs that ``extra_data`` of the options asks for, by name
    :param status: (S,) for each target and part (``values``, ``positions``, ``strain``): whether
        the file has the label (``FOUND``), lacks it (``MISSING``) or has NaN (``NOT_FINITE``), or
        the structure cannot have it (``IMPOSSIBLE``: a stress without a volume)
    :param unused_keys: labels in the file that the options do not ask for
    :param notes: what a user should be told before training, one line each
    :param lost: labels that nobody has asked for by name, and that are there in another place or
        case than where they are looked for, one line each
    :param length_unit: None where the options do not name it
    :param neighbor_lists: what the systems of samples come with, see ``with_neighbor_lists``
    """

    structures: Structures
    labels: dict[str, TargetLabels]
    frames: NDArray[np.int64]
    source: str
    extra: dict[str, TargetLabels] = field(default_factory=dict)
    status: Status = field(default_factory=dict)
    unused_keys: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    length_unit: str | None = None
    neighbor_lists: tuple[NeighborListOptions, ...] = ()

    def __post_init__(self) -> None:
        """Read the status off the arrays where the maker did not say it."""
        for name, labels in self.labels.items():
            for part, array in labels.parts.items():
                if (name, part) not in self.status:
                    structures = self.structures if labels.is_per_atom(part) else None
                    finite = finite_per_system(array, structures)
                    self.status[name, part] = np.where(finite, FOUND, MISSING)

    def __len__(self) -> int:
        return self.structures.num_systems

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """One structure, as a system of metatomic, with labels and inputs as tensor maps."""
        return make_sample(self, index)

    def __iter__(self) -> Iterator[Sample]:
        return map(self.__getitem__, range(len(self)))

    def subset(self, systems: ArrayLike) -> Dataset:
        """The structures of the given indices (not frame numbers), in their order."""
        systems = np.asarray(systems, dtype=np.int64)
        atoms = self.structures.atom_indices(systems)
        return replace(
            self,
            structures=self.structures.subset(systems),
            labels={name: label.subset(systems, atoms) for name, label in self.labels.items()},
            extra={name: label.subset(systems, atoms) for name, label in self.extra.items()},
            frames=self.frames[systems],
            status={key: status[systems] for key, status in self.status.items()},
        )


def target_info(
    spec: TargetSpec, gradients: Iterable[str] = (), unit: str | None = None
) -> TargetInfo:
    """The target of a data set, with the gradients that its labels have.

    :param gradients: of ``positions`` and ``strain``
    :param unit: of the labels, where the options leave it out
    :raises DataError: for a type that there is not
    """
    return TargetInfo(
        quantity=spec.quantity,
        unit=spec.unit or unit or "",
        sample_kind=spec.sample_kind,
        type=target_type_from_dict(spec.type),
        num_subtargets=spec.num_subtargets,
        gradients=tuple(sorted(gradients)),
        description=spec.description,
        extensive=spec.extensive,
    )


def gather_labels(datasets: Sequence[Dataset], name: str, target: TargetInfo) -> TargetLabels:
    """The labels of a target in all data sets, NaN where a data set has none."""
    shapes = {
        VALUES: (*target.type.components, target.num_subtargets),
        "positions": (3,),
        "strain": (3, 3),
    }
    parts = {}
    for part in (VALUES, *target.gradients):
        per_atom = target.per_atom if part == VALUES else part == "positions"
        arrays = []
        for dataset in datasets:
            found = dataset.labels[name].parts if name in dataset.labels else {}
            structures = dataset.structures
            rows = structures.num_atoms if per_atom else structures.num_systems
            missing = (rows, *shapes[part])
            arrays.append(found[part] if part in found else np.full(missing, np.nan))
        parts[part] = np.concatenate(arrays)
    return TargetLabels(
        parts.pop(VALUES), parts, target.sample_kind, type=target.type, quantity=target.quantity
    )


def gather_inputs(
    datasets: Sequence[Dataset], inputs: Mapping[str, TargetInfo]
) -> dict[str, NDArray[np.float64]]:
    """What a model reads of structures (S, ..., P) or atoms (A, ..., P) of all data sets, by name.

    :raises DataError: for a data set that lacks an input, or has it of the other kind
    """
    found = {}
    for name, info in inputs.items():
        for dataset in datasets:
            kind = dataset.extra[name].sample_kind if name in dataset.extra else None
            if kind != info.sample_kind:
                has = f"has '{name}' of each {kind}" if kind else f"lacks '{name}'"
                raise DataError(
                    f"the data set {dataset.source} {has}, which the model reads of each "
                    f"{info.sample_kind}; give it below extra_data, with its key in the file"
                )
        found[name] = np.concatenate([dataset.extra[name].values for dataset in datasets])
    return found


def finite_per_system(
    array: NDArray[np.float64], structures: Structures | None
) -> NDArray[np.bool_]:
    """(S,) whether all numbers of a structure are finite.

    :param structures: given if the rows of the array are atoms, None if they are structures
    """
    finite = np.isfinite(array).all(axis=tuple(range(1, array.ndim)), keepdims=True).reshape(-1)
    if structures is None:
        return finite
    # Differences of a running count: unlike np.logical_and.reduceat, right for structures without
    # atoms, which data sets made by hand may have.
    bad = np.concatenate([[0], np.cumsum(~finite)])
    return np.diff(bad[structures.offsets]) == 0
