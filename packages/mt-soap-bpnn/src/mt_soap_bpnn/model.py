"""The SOAP-BPNN model: what is particular to it. TorchScript reads this file.

Letters of shapes: A atoms, E edges, F features.
"""

from typing import Any, Callable, Dict, cast

import torch
from metatomic.torch import ModelMetadata

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Graph
from mt_shared.model import BaseModel, Head, Places
from mt_soap_bpnn.modules.descriptor import OrthogonalDescriptor
from mt_soap_bpnn.modules.features import SoapFeatures
from mt_soap_bpnn.upgrades import from_1_to_2


class SoapBpnn(BaseModel):
    """A neural network for each element on SOAP power spectra of its neighborhood."""

    __checkpoint_version__ = 2
    __supported_devices__ = ["cuda", "cpu"]
    __supported_dtypes__ = [torch.float32, torch.float64]
    __default_metadata__ = ModelMetadata(
        references={
            "architecture": [
                "SOAP: https://doi.org/10.1103/PhysRevB.87.184115",
                "BPNN: https://doi.org/10.1103/PhysRevLett.98.146401",
                "Laplacian eigenstates: https://doi.org/10.1063/5.0124363",
            ],
            "implementation": ["mt-soap-bpnn"],
        }
    )

    def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
        soap, bpnn = hypers["soap"], hypers["bpnn"]
        super().__init__(hypers, dataset_info, cutoff=soap["cutoff"]["radius"], zbl=hypers["zbl"])
        scaling = soap["radial_scaling"]
        self.soap_features = SoapFeatures(
            num_species=self.num_species,
            num_layers=bpnn["num_hidden_layers"],
            num_neurons=bpnn["num_neurons_per_layer"],
            layernorm=bpnn["layernorm"],
            legacy=hypers["legacy"],
            # the rest is of the radial functions
            cutoff=self.cutoff,
            width=soap["cutoff"]["width"],
            max_radial=soap["max_radial"],
            max_angular=soap["max_angular"],
            gaussian_width=soap["atomic_gaussian_width"],
            scaling=None if scaling is None else (scaling["scale"], scaling["exponent"]),
        )
        self.add_targets(dataset_info.targets)

    def features(self, graph: Graph) -> torch.Tensor:
        """Features (A, F) of the atoms."""
        return self.soap_features(graph.vectors, graph.centers, graph.neighbors, graph.species)

    def make_head(self, name: str, target: TargetInfo) -> Head:
        """A network for each element, or one for all with ``legacy: false``; see ``heads``."""
        return Head(
            num_features=self.soap_features.num_features,
            num_outputs=target.num_subtargets,
            num_species=self.soap_features.num_networks,
            hidden=self.hypers["heads"].get(name, "mlp") == "mlp",
        )

    def grown_axes(self, old: BaseModel) -> Places:
        """The features of the old species are some of those of all."""
        places = super().grown_axes(old)
        descriptor, before = self.soap_features.descriptor, cast(SoapBpnn, old).soap_features
        # embedded species add no features
        if isinstance(descriptor, OrthogonalDescriptor):
            few = cast(OrthogonalDescriptor, before.descriptor)
            species = places[old.num_species, self.num_species]
            places[few.num_features, descriptor.num_features] = descriptor.grow_from(few, species)
        return places

    @classmethod
    def checkpoint_upgrades(cls) -> Dict[int, Callable[[Dict[str, Any]], Dict[str, Any]]]:
        """Version 1 had neither Gaussians nor a radial scaling."""
        return {1: from_1_to_2}
