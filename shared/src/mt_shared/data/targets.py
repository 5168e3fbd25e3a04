"""From what the options say of a target to what a model has to know of it."""

from collections.abc import Iterable

from mt_shared.contract import TargetInfo, target_type_from_dict
from mt_shared.options import TargetSpec


def target_info(
    spec: TargetSpec, gradients: Iterable[str] = (), unit: str | None = None
) -> TargetInfo:
    """The target of a data set, with the gradients that its labels have.

    :param gradients: of ``positions`` and ``strain``
    :param unit: of the labels, where the options leave it out
    :raises DataError: for a type that there is not
    """
    return TargetInfo(
        quantity=spec.quantity,
        unit=spec.unit or unit or "",
        sample_kind=spec.sample_kind,
        type=target_type_from_dict(spec.type),
        num_subtargets=spec.num_subtargets,
        gradients=tuple(sorted(gradients)),
        description=spec.description,
    )
