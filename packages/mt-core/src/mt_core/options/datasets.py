"""Data sets in the options: shorthands written out, then turned into specs for the readers.

The shorthands are those that users of metatrain know; ``docs/options.md`` lists them.
"""

from typing import Any

from mt_shared.options import DatasetSpec, GradientSpec, SystemsSpec, TargetSpec

GRADIENTS = ("forces", "stress", "virial")

Section = dict[str, Any]


def as_list(section: Any) -> list[Section]:
    """The data sets of a section that is a path, one data set or a list of them."""
    if isinstance(section, str):
        return [{"systems": section, "targets": {"energy": section}}]
    return section if isinstance(section, list) else [section]


def expand_section(section: Any) -> Any:
    """A section with every default and shorthand written out; a list stays a list.

    Fractions and mere indices are returned as they are.
    """
    if isinstance(section, list):
        return [expand_dataset(dataset) for dataset in section]
    if isinstance(section, str) or is_dataset(section):
        return expand_dataset(as_list(section)[0])
    return section


def is_dataset(section: Any) -> bool:
    """Whether a section is the mapping of one data set, rather than indices into another."""
    return isinstance(section, dict) and set(section) != {"indices"}


def expand_dataset(dataset: Section) -> Section:
    """A data set with every default and shorthand written out."""
    systems = {"read_from": "", "reader": None, "length_unit": None}
    systems |= _with_path(dataset["systems"])
    systems["length_unit"] = systems["length_unit"] or None
    expanded: Section = {"systems": systems}
    for part, expand in (("targets", expand_target), ("extra_data", _expand_label)):
        if part in dataset:
            expanded[part] = {
                name: expand(name, _with_path(given), systems)
                for name, given in dataset[part].items()
            }
    if "indices" in dataset:
        expanded["indices"] = dataset["indices"]
    return expanded


def expand_target(name: str, given: Section, systems: Section) -> Section:
    """A target with every default and shorthand written out.

    ``forces``, ``stress`` and ``virial`` become false, a mapping, or None: read if the file has
    it, which is how an energy comes without a word on its gradients.
    """
    target = _expand_label(name, given, systems)
    target["quantity"] = given.get("quantity") or ("energy" if is_energy(name, given) else "")
    for word in GRADIENTS:
        target[word] = _expand_gradient(word, given, target)
    target["allow_missing"] = given.get("allow_missing", False)
    return target


def is_energy(name: str, given: Section) -> bool:
    """Whether a target is an energy: by its quantity, its name, or since it has gradients."""
    if given.get("quantity"):
        return bool(given["quantity"] == "energy")
    return name.split("/")[0] == "energy" or any(given.get(word) for word in GRADIENTS)


def sample_kind(given: Section) -> str:
    """``system`` or ``atom``, by either of the two words for it."""
    return str(given.get("sample_kind", "atom" if given.get("per_atom") else "system"))


def can_have_gradients(target: Section) -> bool:
    """Whether an expanded target is one energy of each structure."""
    shape = (target["quantity"], target["sample_kind"], target["type"], target["num_subtargets"])
    return shape == ("energy", "system", "scalar", 1)


def _expand_label(name: str, given: Section, systems: Section) -> Section:
    read_from = given.get("read_from", systems["read_from"])
    same_file = read_from == systems["read_from"]
    return {
        "quantity": given.get("quantity", ""),
        "read_from": read_from,
        "reader": given.get("reader") or (systems["reader"] if same_file else None),
        "key": given.get("key", name),
        "unit": given.get("unit", ""),
        "sample_kind": sample_kind(given),
        "type": given.get("type", "scalar"),
        "num_subtargets": given.get("num_subtargets", 1),
        "description": given.get("description", ""),
    }


def _expand_gradient(word: str, given: Section, target: Section) -> Section | bool | None:
    asked = given.get(word)
    if asked is None:
        # An energy brings its stress as either stress or virial: asking for one excludes both.
        looked_for = word == "forces" or (word == "stress" and not given.get("virial"))
        return None if looked_for and can_have_gradients(target) else False
    if asked is False:
        return False
    gradient = {} if asked is True else _with_path(asked)
    read_from = gradient.get("read_from", target["read_from"])
    same_file = read_from == target["read_from"]
    return {
        "read_from": read_from,
        "reader": gradient.get("reader") or (target["reader"] if same_file else None),
        "key": gradient.get("key", word),
    }


def _with_path(given: str | Section) -> Section:
    return {"read_from": given} if isinstance(given, str) else given


def to_specs(section: Any) -> tuple[DatasetSpec, ...]:
    """The readers' specs of an expanded section."""
    return tuple(_dataset_spec(dataset) for dataset in as_list(section))


def _dataset_spec(dataset: Section) -> DatasetSpec:
    indices = dataset.get("indices")
    return DatasetSpec(
        systems=SystemsSpec(**dataset["systems"]),
        targets=tuple(_target_spec(*item) for item in dataset.get("targets", {}).items()),
        extra_data=tuple(_target_spec(*item) for item in dataset.get("extra_data", {}).items()),
        indices=tuple(indices) if isinstance(indices, list) else indices,
    )


def _target_spec(name: str, target: Section) -> TargetSpec:
    fields = {key: value for key, value in target.items() if key not in GRADIENTS}
    # Extra data have no gradients at all, a target has false where it has none.
    words = [word for word in GRADIENTS if target.get(word, False) is not False]
    gradients = [_gradient_spec(word, target) for word in words]
    return TargetSpec(name=name, gradients=tuple(gradients), **fields)


def _gradient_spec(word: str, target: Section) -> GradientSpec:
    if target[word] is None:
        return GradientSpec(word, word, target["read_from"], target["reader"], required=False)
    return GradientSpec(word, **target[word])
