"""What training, restart and fine-tuning are for a fit in closed form, which has no epochs."""

import shutil
from pathlib import Path

import numpy as np

from mt_conformance.inputs import ETHANOL, abilities, needs
from mt_conformance.runs import OPTIONS, Run, Runs, mt, train
from mt_conformance.tests.comparing import differences

pytestmark = needs(abilities.closed_form)

NOT_IN_THE_REFERENCE = slice(60, 80)


def test_restart_of_a_fit_changes_nothing(runs: Runs, tmp_path: Path) -> None:
    """`--restart` of a fit that is done leaves the same model and the same errors.

    IF IT FAILS: keep in the checkpoint that the fit is done, and what it reported.
    """
    reference = runs.reference()
    folder = tmp_path / "again"
    shutil.copytree(reference.folder, folder)
    mt("train", OPTIONS, "--restart", "auto", folder=folder).check()
    again = Run(folder)
    num_runs = len(again.runs()) - len(reference.runs())
    assert num_runs == 1, f"the restart has left {num_runs} folders of a run; expected one"
    assert again.rows() == reference.rows(), "train.csv differs"
    different = differences(again.contents()["state"], reference.contents()["state"])
    assert not different, f"the models differ in {different[:5]}"


@needs(lambda capabilities: capabilities["finetuning"])
def test_finetuning_is_better_than_a_fit_to_few_data(runs: Runs, tmp_path: Path) -> None:
    """Fitted to five new structures, a model that knew forty is better than one that knew none.

    IF IT FAILS: does fine-tuning use the model that it starts from?
    """
    method = runs.subject.capabilities["finetuning"][0]
    finetune = {"read_from": str(runs.reference().checkpoint), "method": method}
    errors = {}
    for name in ("scratch", "finetuned"):
        folder = tmp_path / name
        folder.mkdir()
        runs.write(folder / "new.xyz", ETHANOL, NOT_IN_THE_REFERENCE)
        options = runs.options(runs.data_set("new.xyz")) | {"validation_set": 0.75}
        if name == "finetuned":
            options["architecture"]["training"]["finetune"] = finetune
        train(folder, options)
        errors[name] = Run(folder).errors(runs.subject.learnt_quantity, "validation")[0]
    assert np.isfinite(list(errors.values())).all(), f"errors on new structures: {errors}"
    assert errors["finetuned"] < errors["scratch"], f"errors on new structures: {errors}"
