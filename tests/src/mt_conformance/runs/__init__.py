"""How a test runs what it looks at, and what it gets back.

``mt`` as a user types it, trainings that are stopped or killed, exported models in ASE and i-PI,
and models in this process.
"""

from mt_conformance.runs import stopped_training
from mt_conformance.runs.ipi_simulation import IpiResults, read_ipi_results, run_in_ipi
from mt_conformance.runs.mt_command import mt, run_python
from mt_conformance.runs.predictor import Gradients, Predictor, exported_predictor, predictor_of
from mt_conformance.runs.trainings import (
    EVAL_OPTIONS,
    EXTENSIONS,
    FINAL_EVALUATION,
    NUM_EPOCHS,
    NUM_LEARNT,
    OPTIONS,
    Run,
    Runs,
    evaluate,
    plain_name,
    run_in_ase,
    train,
    values_in,
    write_options,
)
