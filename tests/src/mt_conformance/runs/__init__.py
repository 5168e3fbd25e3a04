"""How a run is driven: ``mt`` as a user types it, signals and kills, ASE and i-PI."""

from mt_conformance.runs.commands import environment, mt
from mt_conformance.runs.driving import Driven, drive, read_driven
from mt_conformance.runs.interrupting import read_stopped, stop_within_an_epoch
from mt_conformance.runs.predictor import Gradients, Predictor, exported_predictor, predictor_of
from mt_conformance.runs.runs import (
    EVAL_OPTIONS,
    EXTENSIONS,
    NUM_EPOCHS,
    NUM_LEARNT,
    OPTIONS,
    Run,
    Runs,
    train,
    write_options,
)
from mt_conformance.runs.simulating import read_simulated
