"""Models that are trained: loaded, exported, run on structures, compared with labels.

``mt eval`` and ``mt export`` are here; a training exports and judges its model by the same code.
"""

from mt_core.evaluation.author_errors import failing, read_own
from mt_core.evaluation.comparison import Errors, add_errors
from mt_core.evaluation.evaluation import evaluate
from mt_core.evaluation.exporting import (
    export,
    save_model,
    try_compile,
    try_export,
)
from mt_core.evaluation.extensions import (
    check_extensions,
    extensions_note,
    needed_extensions,
    place_extensions,
)
from mt_core.evaluation.models import (
    exported,
    load_model,
    model_from_checkpoint,
    open_checkpoint,
)
from mt_core.evaluation.predictions import (
    PiecewisePredictor,
    Predictions,
    best_device,
    request_targets,
)
from mt_core.evaluation.result_files import check_output, copy_result
from mt_core.evaluation.torchscript_errors import explained
