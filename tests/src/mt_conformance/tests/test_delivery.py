"""What was trained is delivered, whatever comes after it."""

import signal
from pathlib import Path

import pytest

from mt_conformance.inputs import Subject
from mt_conformance.runs import (
    FINAL_EVALUATION,
    OPTIONS,
    Run,
    Runs,
    exported_predictor,
    run_python,
    write_options,
)
from mt_conformance.tests.comparing import assert_close

STATUS = {"error": 1, signal.SIGTERM.name: 128 + signal.SIGTERM}
"""Of a command whose final evaluation ends before its time, by what ends it."""


@pytest.mark.parametrize("how", STATUS)
def test_model_is_there_before_the_final_evaluation(
    runs: Runs, subject: Subject, tmp_path: Path, how: str
) -> None:
    """Where the final evaluation fails or is stopped, the exported model and the checkpoint lie
    where they are to be, and predict the same.

    IF IT FAILS: what `save_checkpoint` of the trainer writes at the end of a training is all that
    the exported model is made of; nothing may wait for what comes later.
    """
    options = runs.small_options(slice(10), tmp_path, num_epochs=1, batch_size=4)
    write_options(tmp_path / OPTIONS, options)
    ended = run_python(FINAL_EVALUATION, how, folder=tmp_path)
    said = ended.stderr
    assert ended.returncode == STATUS[how], f"the status is {ended.returncode}:\n{said}"
    assert "Traceback" not in said, f"a traceback is shown:\n{said}"
    assert "mt eval model.pt eval.yaml" in said, f"no line says how to evaluate the model:\n{said}"
    run, structures = Run(tmp_path), runs.examples.ethanol(2)
    found = run.exported().values(structures)
    checkpoint = subject.model_class.load_checkpoint(run.contents(), "export")
    expected = exported_predictor(checkpoint.export()).values(structures)
    assert_close(found, expected, subject.tolerances.engine32, "the model, by its checkpoint")
