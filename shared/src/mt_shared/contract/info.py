"""What a model has to know of its data: elements, units and targets, as plain values."""

from __future__ import annotations

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
    """What a model has to know of one target.

    ``gradients`` names the derivatives in the training data: ``positions`` (forces are minus
    this) and ``strain`` (stress times volume). The unit of a gradient follows from the unit of
    the target and the unit of length.
    """

    quantity: str = ""
    unit: str = ""
    sample_kind: str = "system"
    type: TargetType = field(default_factory=Scalar)
    num_subtargets: int = 1
    gradients: tuple[str, ...] = ()
    description: str = ""

    @property
    def per_atom(self) -> bool:
        """Whether each atom has its own value, rather than each structure."""
        return self.sample_kind == "atom"

    @property
    def is_energy(self) -> bool:
        """Whether this is an energy: a sum over atoms, with forces as its gradient."""
        return self.quantity == "energy"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as checkpoints hold them."""
        return {**vars(self), "type": self.type.to_dict(), "gradients": list(self.gradients)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TargetInfo:
        """The inverse of :meth:`to_dict`."""
        kind, gradients = target_type_from_dict(values["type"]), tuple(values["gradients"])
        return cls(**{**values, "type": kind, "gradients": gradients})

    @property
    def kind(self) -> TargetInfo:
        """What all data must agree in: they may lack forces, or describe a target otherwise."""
        return replace(self, gradients=(), description="")

    def union(self, other: TargetInfo, name: str) -> TargetInfo:
        """Both data sets' gradients; everything else must agree."""
        if self.kind != other.kind:
            raise DataError(
                f"the target '{name}' is described in two ways: {self.kind.to_dict()} and "
                f"{other.kind.to_dict()}; give it the same quantity, unit, type and sub-targets"
            )
        return replace(self, gradients=tuple(sorted({*self.gradients, *other.gradients})))


@dataclass(frozen=True)
class DatasetInfo:
    """What a model has to know of its data: unit of length, sorted atomic types, targets."""

    length_unit: str
    atomic_types: tuple[int, ...]
    targets: dict[str, TargetInfo]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as checkpoints hold them."""
        return {
            "length_unit": self.length_unit,
            "atomic_types": list(self.atomic_types),
            "targets": {name: target.to_dict() for name, target in self.targets.items()},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DatasetInfo:
        """The inverse of :meth:`to_dict`."""
        targets = {name: TargetInfo.from_dict(info) for name, info in values["targets"].items()}
        return cls(values["length_unit"], tuple(values["atomic_types"]), targets)

    def union(self, other: DatasetInfo) -> DatasetInfo:
        """Atomic types and targets of both; units and shared targets must agree."""
        if self.length_unit != other.length_unit:
            raise DataError(
                f"lengths are in '{self.length_unit}' here and in '{other.length_unit}' there; "
                "give all structures in one unit (systems.length_unit)"
            )
        targets = dict(self.targets)
        for name, target in other.targets.items():
            targets[name] = targets[name].union(target, name) if name in targets else target
        types = tuple(sorted({*self.atomic_types, *other.atomic_types}))
        return DatasetInfo(self.length_unit, types, targets)
