"""What a model has to know of its data: elements, units, targets and inputs, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from mt_shared.errors import DataError


@dataclass(frozen=True)
class Scalar:
    """A target without components: one number a sub-target, unchanged by rotations."""

    # sizes of the axes between samples and sub-targets
    components: ClassVar[tuple[int, ...]] = ()

    def to_dict(self) -> str:
        return "scalar"


@dataclass(frozen=True)
class Cartesian:
    """A Cartesian tensor of the given rank (1: a vector such as a dipole)."""

    rank: int

    def to_dict(self) -> dict[str, Any]:
        return {"cartesian": {"rank": self.rank}}

    @property
    def components(self) -> tuple[int, ...]:
        return (3,) * self.rank


@dataclass(frozen=True)
class Spherical:
    """A list of irreducible representations, each ``(o3_lambda, o3_sigma)``."""

    irreps: tuple[tuple[int, int], ...]

    def to_dict(self) -> dict[str, Any]:
        names = ("o3_lambda", "o3_sigma")
        return {"spherical": {"irreps": [dict(zip(names, irrep)) for irrep in self.irreps]}}

    @property
    def components(self) -> tuple[int, ...]:
        """All irreps one after the other on one axis, each with 2 lambda + 1 entries."""
        return (sum(2 * o3_lambda + 1 for o3_lambda, _ in self.irreps),)


TargetType = Scalar | Cartesian | Spherical


def target_type_from_dict(value: Any) -> TargetType:
    """The target type that the ``type`` of an options file or a checkpoint describes."""
    match value:
        case "scalar":
            return Scalar()
        case {"cartesian": {"rank": rank}}:
            return Cartesian(int(rank))
        case {"spherical": {"irreps": irreps}}:
            return Spherical(tuple((int(i["o3_lambda"]), int(i["o3_sigma"])) for i in irreps))
    raise DataError(f"a target has the type {value!r}; expected scalar, cartesian or spherical")


@dataclass(frozen=True)
class TargetInfo:
    """What a model has to know of one target, or of one input.

    ``gradients`` names the derivatives in the training data: ``positions`` (forces are minus
    this) and ``strain`` (stress times volume). The unit of a gradient follows from the unit of
    the target and the unit of length.

    :param extensive: whether the value of a structure is the sum over its atoms; else it is their
        mean, and does not grow with the structure, as a band gap
    :param per_structure: whether whole values of structures are compared in loss and errors,
        although they grow with the number of atoms; the trainer notes it (see :attr:`by_atom`)
    """

    quantity: str = ""
    unit: str = ""
    sample_kind: str = "system"
    type: TargetType = field(default_factory=Scalar)
    num_subtargets: int = 1
    gradients: tuple[str, ...] = ()
    description: str = ""
    extensive: bool = True
    per_structure: bool = False

    @property
    def per_atom(self) -> bool:
        """Whether each atom has its own value, rather than each structure."""
        return self.sample_kind == "atom"

    @property
    def is_mean(self) -> bool:
        """Whether the value of a structure is the mean over its atoms, rather than their sum."""
        return not self.per_atom and not self.extensive

    @property
    def by_atom(self) -> bool:
        """Whether values are divided by the number of atoms before they are compared with labels.

        Large structures would outweigh small ones otherwise.
        """
        return not self.per_atom and self.extensive and not self.per_structure

    @property
    def is_energy(self) -> bool:
        """Whether this is an energy: a sum over atoms, with forces as its gradient."""
        return self.quantity == "energy"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as checkpoints hold them."""
        values = {**vars(self), "type": self.type.to_dict(), "gradients": list(self.gradients)}
        # what a target usually is goes without a word: older versions do not know the word
        for name, usual in (("extensive", True), ("per_structure", False)):
            if values[name] == usual:
                del values[name]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TargetInfo:
        """The inverse of :meth:`to_dict`."""
        kind, gradients = target_type_from_dict(values["type"]), tuple(values["gradients"])
        return cls(**{**values, "type": kind, "gradients": gradients})

    @property
    def kind(self) -> TargetInfo:
        """What all data must agree in: they may lack forces, or describe a target otherwise."""
        return replace(self, gradients=(), description="", per_structure=False)

    def union(self, other: TargetInfo, name: str) -> TargetInfo:
        """Both data sets' gradients; everything else must agree."""
        if self.kind != other.kind:
            raise DataError(
                f"'{name}' is described in two ways: {self.kind.to_dict()} and "
                f"{other.kind.to_dict()}; give it the same quantity, unit, type and sub-targets"
            )
        return replace(self, gradients=tuple(sorted({*self.gradients, *other.gradients})))

    @property
    def is_scalar(self) -> bool:
        """Whether it has no components."""
        return isinstance(self.type, Scalar)

    @property
    def is_cartesian(self) -> bool:
        """Whether it is a Cartesian tensor."""
        return isinstance(self.type, Cartesian)

    @property
    def is_spherical(self) -> bool:
        """Whether it is a list of irreducible representations."""
        return isinstance(self.type, Spherical)


class Statistics:
    """Numbers of the training set that a model may be made with, such as its average neighbors.

    They are there when a model is made from data, and the same when it is made again from a
    checkpoint, which remembers what was asked for. Both numbers are 0 where nothing is known of a
    training set: in a ``DatasetInfo`` made by hand, and in checkpoints that are older than this.

    :param num_structures: of the training set
    :param num_atoms: of all its structures together
    :param largest_batch: atoms that a batch of the training may hold, which the trainer notes; who
        predicts takes no more at a time. 0 where it is not known
    :param mean_num_neighbors: what is known of :meth:`mean_num_neighbors`, by cutoff
    :param count_neighbors: finds out what is not known yet
    """

    def __init__(
        self,
        num_structures: int = 0,
        num_atoms: int = 0,
        mean_num_neighbors: Mapping[float, float] | None = None,
        count_neighbors: Callable[[float], float] | None = None,
        largest_batch: int = 0,
    ):
        self.num_structures = num_structures
        self.num_atoms = num_atoms
        self.largest_batch = largest_batch
        self._mean_num_neighbors = dict(mean_num_neighbors or {})
        self._count_neighbors = count_neighbors

    def mean_num_neighbors(self, cutoff: float) -> float:
        """How many neighbors an atom of the training set has on average.

        Periodic images count, and so does an image of the atom itself. Of more than 1000 structures
        every n-th counts, such that 1000 do.

        :param cutoff: neighbors are closer than this, in the unit of length of the data
        :raises DataError: nobody has asked for this cutoff while the training set was there
        """
        if cutoff not in self._mean_num_neighbors:
            if self._count_neighbors is None:
                known = ", ".join(map(str, self._mean_num_neighbors)) or "none"
                raise DataError(
                    f"the mean number of neighbors within {cutoff} is not known without the "
                    f"training set; known are the cutoffs: {known}. A model asks for it when it is "
                    "made from data, and always for the same cutoffs; by hand, give DatasetInfo "
                    f"the statistics=Statistics(mean_num_neighbors={{{cutoff}: 30.0}})"
                )
            self._mean_num_neighbors[cutoff] = self._count_neighbors(cutoff)
        return self._mean_num_neighbors[cutoff]

    def forget_data(self) -> None:
        """Let go of the training set; what was asked for stays known."""
        self._count_neighbors = None

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Statistics], tuple[dict[str, Any]]]:
        """Copied and sent to other processes without the training set."""
        return Statistics.from_dict, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as checkpoints hold them, with cutoffs as text; empty if none is known."""
        if not (self.num_structures or self.largest_batch or self._mean_num_neighbors):
            return {}
        neighbors = {repr(cutoff): mean for cutoff, mean in self._mean_num_neighbors.items()}
        return {
            "num_structures": self.num_structures,
            "num_atoms": self.num_atoms,
            "mean_num_neighbors": neighbors,
            **({"largest_batch": self.largest_batch} if self.largest_batch else {}),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Statistics:
        """The inverse of :meth:`to_dict`."""
        if not values:
            return cls()
        neighbors = {float(key): mean for key, mean in values["mean_num_neighbors"].items()}
        # older checkpoints do not know it
        largest = values.get("largest_batch", 0)
        return cls(values["num_structures"], values["num_atoms"], neighbors, largest_batch=largest)


@dataclass(frozen=True)
class DatasetInfo:
    """What a model has to know of its data.

    :param length_unit: of positions and cells; empty where it is not known
    :param atomic_types: atomic numbers, sorted
    :param targets: what is predicted, by name
    :param inputs: what the model may read of structures or atoms beside positions and types, by
        name (``extra_data`` of the options), such as a total charge
    :param statistics: of the training set; two infos may be equal and differ in them
    """

    length_unit: str
    atomic_types: tuple[int, ...]
    targets: dict[str, TargetInfo]
    inputs: dict[str, TargetInfo] = field(default_factory=dict)
    statistics: Statistics = field(default_factory=Statistics, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as checkpoints hold them."""
        return {
            "length_unit": self.length_unit,
            "atomic_types": list(self.atomic_types),
            "targets": {name: target.to_dict() for name, target in self.targets.items()},
            "inputs": {name: info.to_dict() for name, info in self.inputs.items()},
            "statistics": self.statistics.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DatasetInfo:
        """The inverse of :meth:`to_dict`; checkpoints before inputs and statistics have none."""
        targets, inputs = (
            {name: TargetInfo.from_dict(info) for name, info in values.get(key, {}).items()}
            for key in ("targets", "inputs")
        )
        statistics = Statistics.from_dict(values.get("statistics", {}))
        types = tuple(values["atomic_types"])
        return cls(values["length_unit"], types, targets, inputs, statistics)

    def without(self, target: str) -> DatasetInfo:
        """The same without one of the targets."""
        targets = {name: info for name, info in self.targets.items() if name != target}
        return replace(self, targets=targets)

    def union(self, other: DatasetInfo) -> DatasetInfo:
        """Atomic types, targets and inputs of both; units and what both have must agree.

        The statistics are those of this one: a model keeps the numbers that it was made with.
        """
        if self.length_unit != other.length_unit:
            raise DataError(
                f"lengths are in '{self.length_unit}' here and in '{other.length_unit}' there; "
                "give all structures in one unit (systems.length_unit)"
            )
        targets = _union(self.targets, other.targets)
        inputs = _union(self.inputs, other.inputs)
        types = tuple(sorted({*self.atomic_types, *other.atomic_types}))
        return DatasetInfo(self.length_unit, types, targets, inputs, self.statistics)


def _union(ours: dict[str, TargetInfo], theirs: dict[str, TargetInfo]) -> dict[str, TargetInfo]:
    found = dict(ours)
    for name, info in theirs.items():
        found[name] = found[name].union(info, name) if name in found else info
    return found
