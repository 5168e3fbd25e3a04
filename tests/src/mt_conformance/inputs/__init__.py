"""What a test is given: the architecture under test, structures, labels, options, models.

``@needs(...)`` says which abilities of an architecture a test is about. Nothing is run here.
"""

from mt_conformance.inputs import abilities, edge_cases
from mt_conformance.inputs.abilities import needs, needs_option, needs_shared_trainer
from mt_conformance.inputs.data import (
    ETHANOL,
    ICE,
    MOLECULES,
    Examples,
    as_dataset,
    as_frames,
    labelled,
    set_comment,
    with_nan,
)
from mt_conformance.inputs.emt import (
    CRYSTALS,
    PERIODICITIES,
    calculated,
    distorted,
    of_each_periodicity,
    of_each_volume,
    repulsion,
)
from mt_conformance.inputs.extra import ExtraInput, as_labels, extra_inputs, frames_with, key_of
from mt_conformance.inputs.guises import GUISES, rotated
from mt_conformance.inputs.models import new_model
from mt_conformance.inputs.sharing import SharedFolders, shared_root
from mt_conformance.inputs.subjects import (
    ATOMIC_TYPES,
    Model,
    Subject,
    Tolerances,
    subject_of,
)
from mt_conformance.inputs.targets import (
    ENERGY,
    OF_ATOM,
    SAMPLE_KINDS,
    LabelledTarget,
    described,
)
from mt_conformance.inputs.tensors import block_of, blocks_of, irrep_matrix, real_harmonics, turned
