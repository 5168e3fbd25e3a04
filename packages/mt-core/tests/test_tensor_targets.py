"""Vectors and other tensors, of structures and of atoms, from the options to files of predictions.

No architecture of this repository predicts tensors. The one that is written here predicts a
constant for each, so that all that happens at the border of a model can be computed by hand.
"""

import re
from itertools import product
from pathlib import Path

import ase.io
import numpy as np
import pytest

import mt_core
from mt_core.evaluation.prediction_files import plain_name
from mt_shared.contract import target_type_from_dict

MODEL = '''\
"""Constants of structures or atoms. TorchScript reads this file."""

from typing import Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, ModelOutput, System

from mt_shared.contract import (
    DatasetInfo, ModelInterface, Spherical, TrainerInterface, checkpoint_header, write_checkpoint
)


def row(number: int) -> torch.Tensor:
    return torch.arange(number, dtype=torch.int32).unsqueeze(1)


class Constants(ModelInterface):
    kinds: Dict[str, bool]
    sizes: Dict[str, List[int]]
    keys: Dict[str, List[List[int]]]
    subtargets: Dict[str, int]
    __checkpoint_version__ = 1
    __supported_devices__ = ["cpu"]
    __supported_dtypes__ = [torch.float64]
    __default_metadata__ = ModelMetadata(references={"architecture": ["none"]})

    def __init__(self, hypers, dataset_info, metadata=None):
        super().__init__(hypers, dataset_info, metadata)
        self.kinds, self.sizes, self.keys, self.subtargets = {}, {}, {}, {}
        for name, target in dataset_info.targets.items():
            self.kinds[name] = target.per_atom
            self.sizes[name] = list(target.type.components)
            is_spherical = isinstance(target.type, Spherical)
            self.keys[name] = [list(each) for each in target.type.irreps] if is_spherical else []
            self.subtargets[name] = target.num_subtargets
        self.register_buffer("constant", torch.ones(1, dtype=torch.float64), persistent=False)

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        results: Dict[str, TensorMap] = {}
        for name, output in outputs.items():
            names, rows = ["system"], row(len(systems))
            if self.kinds[name]:
                pairs: List[torch.Tensor] = []
                for i, system in enumerate(systems):
                    atoms = row(len(system))
                    pairs.append(torch.cat([torch.full_like(atoms, i), atoms], dim=1))
                names, rows = ["system", "atom"], torch.cat(pairs)
            samples, number = Labels(names, rows), self.subtargets[name]
            properties = Labels(["number"], row(number))
            blocks: List[TensorBlock] = []
            if len(self.keys[name]) == 0:
                shape, axes = [len(rows)], torch.jit.annotate(List[Labels], [])
                for axis, size in enumerate(self.sizes[name]):
                    shape.append(size)
                    axes.append(Labels(["xyz_" + str(axis)], row(size)))
                shape.append(number)
                ones = torch.ones(shape) * self.constant
                blocks.append(TensorBlock(ones, samples, axes, properties))
                results[name] = TensorMap(Labels(["_"], row(1)), blocks)
            else:
                for key in self.keys[name]:
                    size = 2 * key[0] + 1
                    component = [Labels(["o3_mu"], row(size) - key[0])]
                    ones = torch.ones(len(rows), size, number) * self.constant
                    blocks.append(TensorBlock(ones, samples, component, properties))
                keys = torch.tensor(self.keys[name], dtype=torch.int32)
                results[name] = TensorMap(Labels(["o3_lambda", "o3_sigma"], keys), blocks)
        return results

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        return {
            name: ModelOutput(unit=target.unit, sample_kind=target.sample_kind)
            for name, target in self.dataset_info.targets.items()
        }

    def restart(self, dataset_info):
        return self

    def get_checkpoint(self):
        return {
            **checkpoint_header(type(self)),
            "model_version": 1,
            "model_hypers": {},
            "dataset_info": self.dataset_info.to_dict(),
        }

    @classmethod
    def load_checkpoint(cls, checkpoint, context):
        return cls({}, DatasetInfo.from_dict(checkpoint["dataset_info"]))

    def export(self, metadata=None):
        capabilities = ModelCapabilities(
            outputs=self.supported_outputs(),
            atomic_types=list(self.dataset_info.atomic_types),
            interaction_range=0.0,
            length_unit=self.dataset_info.length_unit,
            supported_devices=["cpu"],
            dtype="float64",
        )
        return AtomisticModel(self.eval(), self.metadata, capabilities)


class Nothing(TrainerInterface):
    """There is nothing to learn."""

    __checkpoint_version__ = 1

    def train(self, model, dtype, devices, train_datasets, val_datasets, checkpoint_dir):
        self.save_checkpoint(model, checkpoint_dir / "latest.ckpt")

    def save_checkpoint(self, model, path):
        trainer = {"trainer_version": 1, "trainer_hypers": {}, "trainer": {}}
        write_checkpoint(model.get_checkpoint() | trainer, path)

    @classmethod
    def load_checkpoint(cls, checkpoint, hypers, context):
        return cls(hypers)
'''
INIT = """\
from mt_constants.model import Constants as __model__
from mt_constants.model import Nothing as __trainer__

__authors__ = __maintainers__ = [("A <a@b.org>", "@a")]
"""
KINDS = {
    "vector": {"cartesian": {"rank": 1}},
    "matrix": {"cartesian": {"rank": 2}},
    "number": {"spherical": {"irreps": [{"o3_lambda": 0, "o3_sigma": 1}]}},
    "irreps": {
        "spherical": {"irreps": [{"o3_lambda": 1, "o3_sigma": 1}, {"o3_lambda": 2, "o3_sigma": -1}]}
    },
}
TARGETS = {
    f"mtt::{kind}_{sample_kind}_{number}": {
        "key": f"{kind}_{sample_kind}_{number}",
        "type": KINDS[kind],
        "sample_kind": sample_kind,
        "num_subtargets": number,
        "unit": "e*A",
    }
    for kind, sample_kind, number in product(KINDS, ["system", "atom"], [1, 2])
}
NUM_FRAMES = 20


@pytest.fixture
def constants(workspace, tmp_path_factory, write_distribution, on_path) -> Path:
    """An installed architecture that predicts 1 for whatever it is asked."""
    source = tmp_path_factory.mktemp("constants")
    package = source / "mt_constants"
    package.mkdir()
    (package / "__init__.py").write_text(INIT)
    (package / "model.py").write_text(MODEL)
    (package / "default-hypers.yaml").write_text("name: constants\n")
    write_distribution(source, "mt-constants", "[mt.architectures]\nconstants = mt_constants\n")
    on_path(source)
    return workspace


def write_labels():
    """A file of structures with random labels, which are returned in the shape that models have."""
    images, labels = ase.io.read("ethanol.xyz", f":{NUM_FRAMES}"), {name: [] for name in TARGETS}
    rng = np.random.default_rng(0)
    for number, image in enumerate(images):
        image.calc = None
        image.info.clear()
        # not all of one size
        del image[: number % 3]
        for name, target in TARGETS.items():
            components = target_type_from_dict(target["type"]).components
            rows = len(image) if target["sample_kind"] == "atom" else 1
            labels[name].append(rng.normal(size=(rows, *components, target["num_subtargets"])))
            row = labels[name][-1].reshape(rows, -1)
            if target["sample_kind"] == "atom":
                image.arrays[target["key"]] = row if row.shape[1] > 1 else row[:, 0]
            else:
                image.info[target["key"]] = row[0]
    ase.io.write("tensors.xyz", images, format="extxyz")
    return images, labels


def test_the_table_mt_eval_and_its_files_compare_each_number(constants, capsys):
    images, labels = write_labels()
    systems = {"read_from": "tensors.xyz", "length_unit": "angstrom"}
    data = {"systems": systems, "targets": TARGETS}
    options = {
        "seed": 0,
        "architecture": {"name": "constants"},
        "training_set": data,
        "validation_set": 0.2,
    }
    mt_core.train(options, dry_run=True)
    mt_core.train(options)
    shown = capsys.readouterr().out
    evaluated = mt_core.evaluate("model.pt", data, output="out.xyz")
    for name, target in TARGETS.items():
        row = rf"^{name} +e\*A\S* +validation +[\d.e-]+ +[\d.e-]+$"
        assert re.search(row, shown, re.M), name
        found = evaluated.errors["tensors.xyz"][name]
        sizes = [len(image) if target["sample_kind"] == "system" else 1 for image in images]
        errors = [((1 - each) / size).ravel() for each, size in zip(labels[name], sizes)]
        errors = np.concatenate(errors)
        assert found.number == errors.size, name
        assert found.rmse == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-6), name

    # what it writes are labels that it predicts without an error, and without labels it is the same
    written = {name: each | {"key": plain_name(name)} for name, each in TARGETS.items()}
    again = {"systems": systems | {"read_from": "out.xyz"}, "targets": written}
    for found in mt_core.evaluate("model.pt", again).errors["out.xyz"].values():
        assert found.number and found.rmse < 1e-7, found.metric.label
    mt_core.evaluate("model.pt", {"systems": systems}, output="unlabelled.xyz")
    assert Path("unlabelled.xyz").read_text() == Path("out.xyz").read_text()
