"""Models that are trained: loaded, exported, run on structures, compared with labels.

``mt eval`` and ``mt export`` are here; a training exports and judges its model by the same code.
"""

from mt_core.evaluation.evaluation import (
    Errors,
    add_errors,
    best_device,
    evaluate,
    outputs_of_targets,
)
from mt_core.evaluation.models import (
    check_extensions,
    export,
    load_model,
    model_from_checkpoint,
    save_model,
    try_export,
)
from mt_core.evaluation.predictions import Predictions, predict
from mt_core.evaluation.result_files import check_output, copy_result, keep_existing
