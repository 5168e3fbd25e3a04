"""The options files of ``mt train`` and ``mt eval``: checked, completed, parsed. No torch here.

Every fault of a file is told in one error, before anything else happens.
"""

from mt_core.options.files import check_files
from mt_core.options.names import plain_name
from mt_core.options.parsing import (
    Indices,
    TrainingOptions,
    options_schema,
    parse_eval,
    parse_training,
)
