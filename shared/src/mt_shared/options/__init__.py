"""Options: YAML, checks against schemas that name every fault, hypers and their defaults.

No torch here, and jsonschema only once something is checked: quick commands load this folder.
"""

from mt_shared.options.at_restart import RestartState, hyper_at_restart, state_at_restart
from mt_shared.options.elements import ATOMIC_NUMBERS, SYMBOLS, atomic_number
from mt_shared.options.faults import Fault, KeyPath, dotted, raise_faults, renamed_path, shown
from mt_shared.options.hyper_table import UNSET, Hyper, hyper_table
from mt_shared.options.hypers import (
    Hypers,
    HypersEntry,
    baseline_by_type,
    complete_engine_hypers,
    engine_defaults,
    engine_schemas,
    find_hyper_faults,
    length_hypers,
    merge_hypers,
    resolve_hypers,
    unread_hypers,
    usual_names,
)
from mt_shared.options.inputs import STANDARD_INPUTS, StandardInput, input_name_schema
from mt_shared.options.lengths import LENGTH_UNITS
from mt_shared.options.losses import (
    DEFAULT_LOSS,
    LOSS_GROUP,
    TERM_KEYS,
    LossEntry,
    find_loss,
    installed_losses,
)
from mt_shared.options.options_file import (
    deep_merge,
    describe_origins,
    leaves,
    load_options,
    origins,
)
from mt_shared.options.schema_check import check, find_faults
from mt_shared.options.schemas import schema_fault
from mt_shared.options.specs import (
    GRADIENT_OF,
    WORD_OF,
    DatasetSpec,
    GradientSpec,
    SystemsSpec,
    TargetSpec,
    gradient_unit,
)
from mt_shared.options.yaml_loader import (
    dump_inline,
    dump_yaml,
    load_yaml,
    read_with_lines,
    read_yaml,
)

__all__ = [
    "ATOMIC_NUMBERS",
    "DEFAULT_LOSS",
    "GRADIENT_OF",
    "LENGTH_UNITS",
    "LOSS_GROUP",
    "STANDARD_INPUTS",
    "SYMBOLS",
    "TERM_KEYS",
    "UNSET",
    "WORD_OF",
    "DatasetSpec",
    "Fault",
    "GradientSpec",
    "Hyper",
    "Hypers",
    "HypersEntry",
    "KeyPath",
    "LossEntry",
    "RestartState",
    "StandardInput",
    "SystemsSpec",
    "TargetSpec",
    "atomic_number",
    "baseline_by_type",
    "check",
    "complete_engine_hypers",
    "deep_merge",
    "describe_origins",
    "dotted",
    "dump_inline",
    "dump_yaml",
    "engine_defaults",
    "engine_schemas",
    "find_faults",
    "find_hyper_faults",
    "find_loss",
    "gradient_unit",
    "hyper_at_restart",
    "hyper_table",
    "input_name_schema",
    "installed_losses",
    "leaves",
    "length_hypers",
    "load_options",
    "load_yaml",
    "merge_hypers",
    "origins",
    "raise_faults",
    "read_with_lines",
    "read_yaml",
    "renamed_path",
    "resolve_hypers",
    "schema_fault",
    "shown",
    "state_at_restart",
    "unread_hypers",
    "usual_names",
]
