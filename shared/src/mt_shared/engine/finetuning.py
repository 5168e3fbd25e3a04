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

from mt_shared.contract import DatasetInfo
from mt_shared.data import Dataset
from mt_shared.engine.baselines import check_names, check_scales, fit_baselines, shift_composition
from mt_shared.engine.inheritance import inherit_heads
from mt_shared.errors import OptionsError
from mt_shared.model import BaseModel, add_updates, is_of_update, largest_rank, linear_layers

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


def begin(
    model: BaseModel,
    info: DatasetInfo,
    known: DatasetInfo | None,
    datasets: list[Dataset],
    hypers: dict[str, Any],
) -> None:
    """All that a restart finds done: baselines, inherited heads, low-rank layers.

    :param info: what the data have labels of
    :param known: what the model had before these data; None for a new model
    """
    finetune = hypers["finetune"]
    check_names(hypers, info.targets)
    old_targets = [] if known is None else list(known.targets)
    inherit_heads(model, finetune["inherit_heads"], old_targets)
    with_head = {*old_targets, *finetune["inherit_heads"]}
    fit_baselines(model, [name for name in info.targets if name not in with_head], datasets, hypers)
    old = [name for name in info.targets if name in with_head]
    check_scales(model, old, hypers)
    if known is not None:
        kept_types = known.atomic_types if finetune["composition"] == "keep" else ()
        shift_composition(model, old, kept_types, datasets, hypers)
    if finetune["method"] == "lora":
        add_low_rank_updates(model, finetune["config"])


def say_what_trains(
    model: BaseModel, info: DatasetInfo, known: DatasetInfo | None, finetune: dict[str, Any]
) -> None:
    """Log method and size of a fine-tuning, and what a user might not expect of it."""
    if known is None or finetune["read_from"] is None:
        return
    method = finetune["method"]
    trained = {name: each.numel() for name, each in model.named_parameters() if each.requires_grad}
    frozen = sum(each.numel() for each in model.parameters()) - sum(trained.values())
    log.info(
        f"Fine-tuning {finetune['read_from']} by the method '{method}': {sum(trained.values())} "
        f"parameters train, {frozen} are frozen"
    )
    idle = [name for name in model.dataset_info.targets if name not in info.targets]
    if idle:
        keeps_features = all(name.startswith(HEADS) for name in trained)
        changed = "" if keeps_features else "; what they predict changes with the features below"
        log.info(f"No labels of {', '.join(idle)}: heads and baselines stay as they are{changed}")
    random = [
        name
        for name in model.heads
        if name in info.targets
        and name not in {*known.targets, *finetune["inherit_heads"]}
        and not any(_is_within(each, [_head(name)]) for each in trained)
    ]
    if random:
        log.warning(
            f"the heads of the new targets {', '.join(random)} are random and do not train: name "
            f"them in {SECTION}.config.modules, or let them inherit an old one"
        )
    new_types = sorted(set(info.atomic_types) - set(known.atomic_types))
    if new_types and method != "full":
        log.warning(
            f"the atomic types {new_types} are new to the model, and what the method '{method}' "
            "freezes of them is random; the method 'full' trains it"
        )


# ---- which parameters train


def choose_parameters(model: BaseModel, trained: Collection[str], finetune: dict[str, Any]) -> None:
    """Let the parameters train that the method is for, and freeze the others.

    Heads of targets without labels are frozen by every method.

    :param trained: the targets that have labels
    :param finetune: the section of the options, complete
    """
    method, config = finetune["method"], finetune["config"]
    idle = [_head(name) for name in model.heads if name not in trained]
    heads = [_head(name) for name in model.heads if name in trained]
    parameters = dict(model.named_parameters())
    able = [name for name in parameters if not _is_within(name, idle)]
    if method == "full":
        chosen = set(able)
    elif method == "heads":
        chosen = _chosen_by_name(able, heads, config["modules"])
    else:
        chosen = {name for name in able if _is_within(name, heads) or is_of_update(name)}
    if not chosen:
        raise OptionsError("this model has no parameters that these data could train")
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in chosen)


def add_low_rank_updates(model: BaseModel, config: dict[str, Any]) -> None:
    """Give the linear layers that ``target_modules`` names, or all outside the heads, an update."""
    heads = [_head(name) for name in model.heads]
    layers = {
        name: layer for name, layer in linear_layers(model).items() if not _is_within(name, heads)
    }
    if not layers:
        raise OptionsError(
            f"{SECTION}.method: 'lora' is for linear layers, and this model has none outside its "
            "heads; use the method 'full' or 'heads'"
        )
    patterns = config["target_modules"]
    if patterns is not None:
        known = f"linear layers: {_list(layers)}"
        # the last one: metatrain's users give the last part of a layer's name
        forms = ("{}", "{}.*", "*.{}")
        chosen = _matching(layers, patterns, forms, "target_modules", known)
        layers = {name: layer for name, layer in layers.items() if name in chosen}
    largest = max(largest_rank(layer) for layer in layers.values())
    if config["rank"] > largest:
        raise OptionsError(
            f"{SECTION}.config.rank: found {config['rank']}, but an update of these layers has at "
            f"most the rank {largest}: {_list(layers)}"
        )
    add_updates(list(layers.values()), config["rank"], config["alpha"])


def _chosen_by_name(able: list[str], heads: list[str], patterns: list[str] | None) -> set[str]:
    parts = f"parts: {_list({'.'.join(name.split('.')[:2]) for name in able})}"
    if patterns is not None:
        return _matching(able, patterns, ("{}", "{}.*"), "modules", parts)
    chosen = {name for name in able if _is_within(name, heads)}
    if not chosen:
        raise OptionsError(
            f"{SECTION}.method: this model keeps no heads for 'heads' to train; name what shall "
            f"train in {SECTION}.config.modules ({parts}), or use another method"
        )
    return chosen


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


def _head(target: str) -> str:
    return f"{HEADS}{target}"


def _is_within(name: str, modules: list[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
