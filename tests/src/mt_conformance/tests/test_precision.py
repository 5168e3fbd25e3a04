"""Every dtype and device that an architecture names."""

import copy
from dataclasses import replace

import pytest
import torch

from mt_conformance.inputs import Examples, Model, Subject, abilities, needs
from mt_conformance.runs import exported_predictor, predictor_of
from mt_conformance.tests.comparing import assert_close

DTYPES = [
    pytest.param(name, marks=needs(abilities.dtype(name)))
    for name in ("float16", "bfloat16", "float32", "float64")
]
DEVICES = [
    pytest.param(name, marks=needs(abilities.device(name))) for name in ("cuda", "mps", "xpu")
]


@pytest.mark.parametrize("name", DTYPES)
def test_dtypes_are_kept(subject: Subject, model: Model, examples: Examples, name: str) -> None:
    """In each dtype that is named, the exported model says so and predicts in it.

    IF IT FAILS: tensors that are made on the way take the dtype of the positions; what is fixed
    belongs into buffers, which follow `model.to(dtype)`.
    """
    dtype = getattr(torch, name)
    predictor = exported_predictor(copy.deepcopy(model).to(dtype).export())
    assert predictor.dtype == dtype, f"a model in {name} is exported in {predictor.dtype}"
    main = subject.main
    result = predictor.run(examples.ethanol(2), {main.name: main.info.sample_kind})
    values = result[main.name].block().values
    assert values.dtype == dtype, f"a model in {name} predicts in {values.dtype}"
    assert bool(values.isfinite().all()), f"'{main.name}' in {name} is not finite"


@pytest.mark.parametrize("device", DEVICES)
def test_devices_agree(subject: Subject, model: Model, examples: Examples, device: str) -> None:
    """On each device that is named and present, the predictions are those of the processor.

    IF IT FAILS: tensors that are made on the way take the device of the positions; what is fixed
    belongs into buffers, which follow `model.to(device)`.
    """
    if not getattr(torch, device).is_available():
        pytest.skip(f"this machine has no {device}")
    structures = examples.both()
    # some devices have no float64
    dtype = subject.architecture.model_class.__supported_dtypes__[0]
    copied = copy.deepcopy(model).to(dtype)
    expected = predictor_of(copied).values(structures)
    found = replace(predictor_of(copied.to(device)), device=device).values(structures)
    found, expected = (subject.main.by_atom(each, structures) for each in (found, expected))
    what = f"'{subject.main.name}' by atom on {device}"
    assert_close(found, expected, subject.tolerances.precision, what)
