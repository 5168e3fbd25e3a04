"""What a test is given: the architecture under test, structures, labels, options, models.

``@needs(...)`` says which abilities of an architecture a test is about. Nothing is run here.
"""

from mt_conformance.inputs.abilities import (
    Ability,
    Capabilities,
    augmented,
    both_precisions,
    closed_form,
    distributed,
    double_precision,
    epochs,
    exact,
    finetuning,
    finite_range,
    forces,
    local,
    names_device,
    names_dtype,
    names_target,
    needs,
    needs_option,
    several_targets,
    stress,
    targets_of_atoms,
)
from mt_conformance.inputs.data import (
    ETHANOL,
    ICE,
    Examples,
    as_dataset,
    data_set,
    energy_target,
    labelled,
    molecules,
    set_comment,
    with_neighbors,
)
from mt_conformance.inputs.models import (
    ATOMIC_TYPES,
    ENERGY,
    OF_ATOM,
    OF_STRUCTURE,
    dataset_info_for,
    new_model,
    repulsion,
)
from mt_conformance.inputs.sharing import SharedFolders, shared_root
from mt_conformance.inputs.structures import (
    GUISES,
    chain,
    far_apart,
    in_large_cell,
    in_void,
    rotated,
    single_atom,
    tiny_cell,
    with_end_moved,
)
from mt_conformance.inputs.subjects import Subject, Tolerances, subject_of
from mt_conformance.inputs.tensors import block_of, blocks_of, irrep_matrix, real_harmonics, turned
