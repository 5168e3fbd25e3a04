"""Models that are trained: loaded, exported, run on structures, compared with labels.

``mt eval`` and ``mt export`` are here; a training exports and judges its model by the same code.
"""

from mt_core.evaluation.comparison import Errors, add_errors
from mt_core.evaluation.evaluation import evaluate
from mt_core.evaluation.exporting import (
    check_extensions,
    export,
    save_model,
    try_compile,
    try_export,
)
from mt_core.evaluation.models import load_model, model_from_checkpoint
from mt_core.evaluation.predictions import Predictions, best_device, predict, request_targets
from mt_core.evaluation.result_files import check_output, copy_result
from mt_core.evaluation.torchscript_errors import explained
