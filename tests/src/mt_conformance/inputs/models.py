"""Models as they come from their class, with weights that leave nothing zero."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mt_conformance.inputs import abilities
from mt_conformance.inputs.emt import distorted
from mt_conformance.inputs.subjects import Model, Subject
from mt_shared.contract import DatasetInfo


def new_model(subject: Subject, info: DatasetInfo | None = None) -> Model:
    """A model of the architecture with random weights, in evaluation mode.

    Layers that begin at zero would make every statement about predictions true, so that all
    parameters get noise. What is fitted in closed form has no random weights: it gets a small fit.
    """
    torch.manual_seed(0)
    hypers, dtype = subject.resolved, subject.dtype
    info = info or subject.dataset_info()
    model = subject.model_class(hypers.model, info).to(dtype)
    if abilities.closed_form(subject.capabilities):
        trainer = subject.architecture.trainer_class(hypers.training)
        data = distorted(info, repelled=bool(hypers.model.get("zbl")))
        with TemporaryDirectory() as folder:
            trainer.train(model, dtype, [torch.device("cpu")], [data], [], Path(folder))
        return model.eval()
    # small enough that features stay of their usual size
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model.eval()
