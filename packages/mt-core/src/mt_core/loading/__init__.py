"""From options to what a model works with: data sets and splits, units, devices and dtypes.

Training and evaluation share it. Here torch begins.
"""

from mt_core.loading.devices import choose_device, choose_dtype
from mt_core.loading.growth import growth_notes
from mt_core.loading.inputs import check_inputs_of_evaluation, check_inputs_of_training
from mt_core.loading.splits import (
    FINGERPRINTS,
    Splits,
    check_types,
    check_units,
    dataset_info,
    read_splits,
    type_notes,
    unit_notes,
)
