"""Models that give energies and forces, in a few dozen lines. TorchScript reads this file.

An author writes a network and one function of plain tensors, :meth:`MLIPModel.energies` or, with
the shared heads on top, :meth:`MLIPModel.atomic_features`. Hypers, baselines, training, forces,
stress, checkpoints, restart, fine-tuning and export come from the same pieces as those of every
other architecture: :mod:`mt_shared.model` and :mod:`mt_shared.engine`.

Letters of shapes: A atoms, E edges, F features, S systems.
"""

from typing import Any, Dict, Final, List, Optional

import torch
from torch import Tensor

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Graph
from mt_shared.engine import Trainer
from mt_shared.errors import ArchitectureError, DataError
from mt_shared.model import BaseModel, Head, check_shape


class MLIPModel(BaseModel):
    """A machine-learning interatomic potential: energies as a function of edge vectors.

    A subclass calls ``super().__init__``, builds its network, and defines one of two hooks, which
    get the same :class:`~mt_shared.data.graph.Graph` of tensors, of which most models need these:

    =============== ====== =================================================================
    graph.vectors   (E, 3) from center to neighbor, in the unit of length of the data
    graph.species   (A,)   int64, index of the atomic type among the model's, sorted
    graph.centers   (E,)   int64, index of the atom that an edge starts from
    graph.neighbors (E,)   int64, index of the atom that it ends at; each pair is there both ways
    graph.system    (A,)   int64, index of the structure of each atom
    =============== ====== =================================================================

    An energy is in units of the model's own, of order one for an atom: scale and composition are
    added by the base.

    :param cutoff: radius of the neighborhood, in the unit of length of the data
    :param zbl: whether the repulsion of nuclei is a baseline of the energies
    :param num_features: F of :meth:`atomic_features`; None where :meth:`energies` is defined
    :param atomic_energies: whether :meth:`energies` gives one for each atom, or each structure
    :param num_interactions: how many cutoffs far an atom is felt: 1, or the number of
        message-passing layers
    """

    __supported_devices__ = ["cuda", "cpu"]
    __supported_dtypes__ = [torch.float32, torch.float64]

    # TorchScript leaves out the branch that a Final excludes: the hook there raises an error
    has_features: Final[bool]

    def __init__(
        self,
        hypers: Dict[str, Any],
        dataset_info: DatasetInfo,
        cutoff: float,
        zbl: bool = False,
        num_features: Optional[int] = None,
        atomic_energies: bool = True,
        num_interactions: int = 1,
    ):
        super().__init__(hypers, dataset_info, cutoff, zbl)
        _check_hooks(type(self), num_features)
        self.has_features = num_features is not None
        self.num_features = num_features
        self.has_atomic_values = atomic_energies
        self.num_interactions = num_interactions
        self.energy_name = ""
        self.add_targets(dataset_info.targets)

    # ---- hooks: one of them

    def energies(self, graph: Graph) -> Tensor:
        """The energy of each atom (A,), or of each structure (S,)."""
        raise NotImplementedError

    def atomic_features(self, graph: Graph) -> Tensor:
        """Features of each atom (A, F), from which heads make energies: several, if need be."""
        raise NotImplementedError

    # ---- what the base asks for

    def make_head(self, name: str, target: TargetInfo) -> Optional[Head]:
        """A hidden layer and a linear one, the same for all species; none for :meth:`energies`."""
        if not target.is_energy or target.per_atom:
            raise DataError(
                f"target '{name}' is no energy of a structure (quantity: energy), and this "
                "architecture is for energies and forces only"
            )
        if self.num_features is not None:
            # shared by all species: the features know the species of their atom
            return Head(self.num_features, target.num_subtargets, num_species=1, hidden=True)
        # a function that returns one energy cannot say which target it is for
        if self.energy_name != "":
            raise DataError(
                f"this architecture has one energy, '{self.energy_name}', and cannot get "
                f"'{name}' beside it; give the energy of the data the same name"
            )
        self.energy_name = name
        return None

    def remove_target(self, name: str) -> None:
        """As that of the base; a model of :meth:`energies` has nothing left without its one."""
        if name == self.energy_name:
            raise DataError(f"'{name}' is the only energy of this model, and cannot be removed")
        super().remove_target(name)

    def features(self, graph: Graph) -> Tensor:
        """Features (A, F) of the atoms."""
        features = self.atomic_features(graph)
        if not torch.jit.is_scripting():
            assert self.num_features is not None
            shape = (len(graph.species), self.num_features)
            check_shape(self, "atomic_features", features, "(A, F)", shape)
        return features

    def predict(self, graph: Graph, targets: Optional[List[str]] = None) -> Dict[str, Tensor]:
        """Raw values of each atom, by target."""
        if self.has_features:
            results = self.read_out(self.features(graph), graph.species, targets)
        else:
            energies = self.energies(graph)
            if not torch.jit.is_scripting():
                letter = "A" if self.has_atomic_values else "S"
                size = len(graph.species if self.has_atomic_values else graph.num_atoms)
                check_shape(self, "energies", energies, f"({letter},)", (size,))
            if not self.has_atomic_values:
                # only the sum will be asked for, of which every atom gets the same share
                energies = (energies / graph.num_atoms)[graph.system]
            results = {self.energy_name: energies.unsqueeze(1)}
        return results

    def interaction_range(self) -> float:
        """A cutoff for each message-passing layer."""
        return self.num_interactions * self.cutoff


def _check_hooks(cls: type, num_features: Optional[int]) -> None:
    """Refuse a class that does not define the one hook that will be called."""
    hooks = ("energies", "atomic_features")
    defined = [name for name in hooks if getattr(cls, name) is not getattr(MLIPModel, name)]
    wanted = "energies" if num_features is None else "atomic_features"
    if defined != [wanted]:
        raise ArchitectureError(
            f"the model {cls.__name__} has num_features={num_features}, with which it must define "
            f"'{wanted}' and not the other hook, but it defines "
            f"{' and '.join(defined) or 'none'}. A model of 'energies' has no num_features, one "
            "of 'atomic_features' hands their number to super().__init__"
        )


class MLIPTrainer(Trainer):
    """Trains by gradients, as the shared engine does."""
