"""What a training begins with, and what of it may change: the methods of fine-tuning.

Which parameters train follows from the model, the data and the options alone, so that a restart
finds the same ones.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Dataset, largest_batch
from mt_shared.engine.baselines import check_names, check_scales, fit_baselines, shift_composition
from mt_shared.errors import OptionsError, did_you_mean
from mt_shared.model import TrainableModel, add_updates, is_of_update, linear_layers

SECTION = "architecture.training.finetune"
HEADS = "heads."

log = logging.getLogger("mt.train")


def trained_info(info: DatasetInfo, datasets: list[Dataset]) -> DatasetInfo:
    """Of what a model knows, the targets and gradients that these data have labels of."""
    targets = {}
    for name, target in info.targets.items():
        labels = [dataset.labels[name] for dataset in datasets if name in dataset.labels]
        labelled = {gradient for each in labels for gradient in each.gradients}
        if labels:
            gradients = tuple(each for each in target.gradients if each in labelled)
            targets[name] = replace(target, gradients=gradients)
    return replace(info, targets=targets)


def note_training(
    model: TrainableModel[Any], datasets: list[Dataset], hypers: dict[str, Any]
) -> None:
    """Let the model know how it is trained, since who evaluates it has to do likewise: which values
    are compared as wholes, and how many atoms there are at a time."""
    info = model.dataset_info
    whole = {
        name: replace(info.targets[name], per_structure=name in hypers["per_structure_targets"])
        for name in trained_info(info, datasets).targets
    }
    model.dataset_info = replace(info, targets=info.targets | whole)
    sizes = [data.structures.atoms_per_system for data in datasets]
    model.dataset_info.statistics.largest_batch = largest_batch(
        torch.from_numpy(np.concatenate(sizes)), hypers["batch_size"], hypers["max_atoms_per_batch"]
    )


def initialize_model(
    model: TrainableModel[Any],
    info: DatasetInfo,
    old_info: DatasetInfo | None,
    datasets: list[Dataset],
    hypers: dict[str, Any],
) -> None:
    """All that a restart finds done: inherited heads, baselines, low-rank layers.

    :param info: what the data have labels of
    :param old_info: what the model had before these data; None for a new model
    """
    finetune = hypers["finetune"]
    check_names(hypers, info.targets)
    old_targets = [] if old_info is None else list(old_info.targets)
    # Heads first: what inherits a head inherits its baseline too, and only the others are fitted.
    # What others inherit from may be removed after that. Low-rank layers last: the composition is
    # shifted by what the model predicts without them.
    inherit_heads(model, finetune["inherit_heads"], old_targets)
    with_head = {*old_targets, *finetune["inherit_heads"]}
    fit_baselines(model, [name for name in info.targets if name not in with_head], datasets, hypers)
    old = [name for name in info.targets if name in with_head]
    check_scales(model, old, hypers)
    if old_info is not None:
        kept_types = old_info.atomic_types if finetune["composition"] == "keep" else ()
        shift_composition(model, old, kept_types, datasets, hypers)
    for name in finetune["remove_targets"]:
        _check_removal(name, old_targets, info)
        model.remove_target(name)
    if finetune["method"] == "lora":
        add_low_rank_updates(model, finetune["config"])


def _check_removal(name: str, old_targets: list[str], info: DatasetInfo) -> None:
    """Refuse to remove what is trained, or what is not there."""
    if name not in old_targets:
        raise OptionsError(
            f"{SECTION}.remove_targets: the model to be fine-tuned has no target '{name}'"
            f"{did_you_mean(name, old_targets)}; it has {', '.join(old_targets) or 'none'}"
        )
    if name in info.targets:
        raise OptionsError(
            f"{SECTION}.remove_targets: '{name}' has labels in these data, and is trained; leave "
            "it out of the one or the other"
        )


def log_finetuning(
    model: TrainableModel[Any],
    info: DatasetInfo,
    old_info: DatasetInfo | None,
    finetune: dict[str, Any],
) -> None:
    """Log method and size of a fine-tuning, and what a user might not expect of it."""
    if old_info is None or finetune["read_from"] is None:
        return
    method = finetune["method"]
    trained = {name: each.numel() for name, each in model.named_parameters() if each.requires_grad}
    frozen = sum(each.numel() for each in model.parameters()) - sum(trained.values())
    log.info(
        f"Fine-tuning {finetune['read_from']} by the method '{method}': {sum(trained.values())} "
        f"parameters train, {frozen} are frozen"
    )
    # old targets without labels in these data
    idle = [name for name in model.dataset_info.targets if name not in info.targets]
    if idle:
        keeps_features = all(name.startswith(HEADS) for name in trained)
        changed = (
            ""
            if keeps_features
            else "; what they predict changes with the features below, and finetune.remove_targets "
            "takes them out of the model"
        )
        log.info(f"No labels of {', '.join(idle)}: heads and baselines stay as they are{changed}")
    random = [
        name
        for name in model.heads
        if name in info.targets
        and name not in {*old_info.targets, *finetune["inherit_heads"]}
        and not any(_is_within(each, [f"{HEADS}{name}"]) for each in trained)
    ]
    if random:
        log.warning(
            f"the heads of the new targets {', '.join(random)} are random and do not train: name "
            f"them in {SECTION}.config.modules, or let them inherit an old one"
        )
    new_types = sorted(set(info.atomic_types) - set(old_info.atomic_types))
    if new_types and method != "full":
        log.warning(
            f"the atomic types {new_types} are new to the model, and what the method '{method}' "
            "freezes of them is random; the method 'full' trains it"
        )


# ---- heads of new targets that begin as copies of old ones


def inherit_heads(
    model: TrainableModel[Any], inherited: dict[str, str], known: Collection[str]
) -> None:
    """Copy head and baseline of an old target into each new one.

    :param inherited: the old target by the new one
    :param known: the targets that the model had before these data
    """
    for new, old in inherited.items():
        fault = inheritance_fault(new, old, model.dataset_info.targets, known)
        shapes = [
            {key: tensor.shape for key, tensor in model.heads[name].state_dict().items()}
            for name in (new, old)
            if name in model.heads
        ]
        if fault is None and len(shapes) < 2:
            fault = f"this model keeps no heads that '{new}' could inherit from '{old}'"
        if fault is None and shapes[0] != shapes[1]:
            fault = f"the heads of '{new}' and '{old}' have other layers; give both the same"
        if fault is not None:
            raise OptionsError(f"{SECTION}.inherit_heads: {fault}")
        model.heads[new].load_state_dict(model.heads[old].state_dict())
        model.baselines[new].load_state_dict(model.baselines[old].state_dict())


def inheritance_fault(
    new: str, old: str, targets: dict[str, TargetInfo], known: Collection[str]
) -> str | None:
    """Why ``new`` cannot inherit the head of ``old``, or None.

    :param targets: those of the model and of the data
    """
    if old not in known:
        hint = did_you_mean(old, known)
        return f"the model has no target '{old}'{hint}; it has {', '.join(known)}"
    if new in known:
        return f"'{new}' is a target of the model with a head of its own; name a new target first"
    if new not in targets:
        return f"the data sets have no target '{new}'{did_you_mean(new, targets)}"
    different = differences(targets[new], targets[old])
    if different:
        said = ", ".join(f"{field} {ours!r} and {theirs!r}" for field, ours, theirs in different)
        return f"'{new}' and '{old}' are of different kinds: {said}; they have to agree"
    return None


def differences(ours: TargetInfo, theirs: TargetInfo) -> list[tuple[str, Any, Any]]:
    """What makes two targets of different kinds: unit, sub-targets and so on, by its name."""
    a, b = ({**vars(each.kind), "type": each.type.to_dict()} for each in (ours, theirs))
    return [(field, a[field], b[field]) for field in a if a[field] != b[field]]


# ---- which parameters train


def set_trainable(
    model: TrainableModel[Any], trained: Collection[str], finetune: dict[str, Any]
) -> None:
    """Let the parameters train that the method is for, and freeze the others.

    Heads of targets without labels are frozen by every method: weight decay would change them.

    :param trained: the targets that have labels
    """
    method, patterns = finetune["method"], finetune["config"]["modules"]
    idle = [f"{HEADS}{name}" for name in model.heads if name not in trained]
    heads = [f"{HEADS}{name}" for name in model.heads if name in trained]
    parameters = dict(model.named_parameters())
    able = [name for name in parameters if not _is_within(name, idle)]
    parts = f"parts: {_list({'.'.join(name.split('.')[:2]) for name in able})}"
    if method == "full":
        chosen = set(able)
    elif method == "heads" and patterns is not None:
        chosen = _matching(able, patterns, ("{}", "{}.*"), "modules", parts)
    else:
        # the weights that have a low-rank update are in neither group, and stay
        updates = [name for name in able if method == "lora" and is_of_update(name)]
        chosen = {*updates, *(name for name in able if _is_within(name, heads))}
    if not chosen and method == "heads":
        raise OptionsError(
            f"{SECTION}.method: this model keeps no heads for 'heads' to train; name what shall "
            f"train in {SECTION}.config.modules ({parts}), or use another method"
        )
    if not chosen:
        raise OptionsError("this model has no parameters that these data could train")
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in chosen)


def add_low_rank_updates(model: TrainableModel[Any], config: dict[str, Any]) -> None:
    """Give the linear layers that ``target_modules`` names, or all outside the heads, an update."""
    # heads are small and train whole
    heads = [f"{HEADS}{name}" for name in model.heads]
    layers = {
        name: layer for name, layer in linear_layers(model).items() if not _is_within(name, heads)
    }
    if not layers:
        raise OptionsError(
            f"{SECTION}.method: 'lora' is for linear layers, and this model has none outside its "
            "heads; use the method 'full' or 'heads'"
        )
    if config["target_modules"] is not None:
        known = f"linear layers: {_list(layers)}"
        # the last one: metatrain's users give the last part of a layer's name
        forms = ("{}", "{}.*", "*.{}")
        chosen = _matching(layers, config["target_modules"], forms, "target_modules", known)
        layers = {name: layer for name, layer in layers.items() if name in chosen}
    largest = max(min(layer.weight.shape[-2:]) for layer in layers.values())
    if config["rank"] > largest:
        raise OptionsError(
            f"{SECTION}.config.rank: found {config['rank']}, but an update of these layers has at "
            f"most the rank {largest}: {_list(layers)}"
        )
    add_updates(layers.values(), config["rank"], config["alpha"])


def _matching(
    names: Iterable[str], patterns: list[str], forms: Sequence[str], option: str, known: str
) -> set[str]:
    """The names that match a pattern, put into any of the forms; each pattern must match one."""
    chosen: set[str] = set()
    for pattern in patterns:
        written = [form.format(pattern) for form in forms]
        found = {name for name in names if any(fnmatchcase(name, each) for each in written)}
        if not found:
            raise OptionsError(
                f"{SECTION}.config.{option}: '{pattern}' matches nothing that this training can "
                f"change; the model has the {known}"
            )
        chosen |= found
    return chosen


def _is_within(name: str, modules: list[str]) -> bool:
    # by whole parts of a name: 'heads.energy' is not a part of 'heads.energy_2'
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
