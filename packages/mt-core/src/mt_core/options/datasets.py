"""Data sets in the options: shorthands written out, then turned into specs for the readers.

The shorthands are those that users of metatrain know; ``docs/options.md`` lists them.
"""

from typing import Any

from mt_shared.options import GRADIENT_OF, DatasetSpec, GradientSpec, SystemsSpec, TargetSpec

Section = dict[str, Any]


def as_list(section: Any) -> list[Section]:
    """The data sets of a section that is a path, one data set or a list of them."""
    if isinstance(section, str):
        # a mere path is metatrain's shortest form: structures and energies of one file
        return [{"systems": section, "targets": {"energy": section}}]
    return section if isinstance(section, list) else [section]


def expand_section(section: Any) -> Any:
    """A section with every default and shorthand written out; fractions and indices as they are."""
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
    # an empty text is how a unit is left out in options files of metatrain
    systems["length_unit"] = systems["length_unit"] or None
    expanded: Section = {"systems": systems}
    for part, expand in (("targets", expand_target), ("extra_data", expand_label)):
        if part in dataset:
            expanded[part] = {
                name: expand(name, _with_path(written), systems)
                for name, written in dataset[part].items()
            }
    if "indices" in dataset:
        expanded["indices"] = dataset["indices"]
    return expanded


def expand_target(name: str, written: Section, systems: Section) -> Section:
    """A target with every default and shorthand written out.

    ``forces``, ``stress`` and ``virial`` become false, a mapping, or None: read if the file has
    it, which is how an energy comes without a word on its gradients.
    """
    target = expand_label(name, written, systems)
    # an energy by its name, or since it has gradients
    implied = name.split("/")[0] == "energy" or any(written.get(word) for word in GRADIENT_OF)
    target["quantity"] = written.get("quantity") or ("energy" if implied else "")
    target["extensive"] = written.get("extensive", True)
    for word in GRADIENT_OF:
        target[word] = _expand_gradient(word, written, target)
    target["allow_missing"] = written.get("allow_missing", False)
    return target


def sample_kind(written: Section) -> str:
    """``system`` or ``atom``, by either of the two words for it."""
    return str(written.get("sample_kind", "atom" if written.get("per_atom") else "system"))


def can_have_gradients(target: Section) -> bool:
    """Whether an expanded target is one energy of each structure."""
    fields = ("quantity", "sample_kind", "type", "num_subtargets", "extensive")
    return tuple(target[field] for field in fields) == ("energy", "system", "scalar", 1, True)


def expand_label(name: str, written: Section, systems: Section) -> Section:
    """What a target and an input have in common, with every default and shorthand written out."""
    return {
        "quantity": written.get("quantity", ""),
        **_source(written, systems),
        "key": written.get("key", name),
        "unit": written.get("unit", ""),
        "sample_kind": sample_kind(written),
        "type": written.get("type", "scalar"),
        "num_subtargets": written.get("num_subtargets", 1),
        "description": written.get("description", ""),
    }


def _expand_gradient(word: str, written: Section, target: Section) -> Section | bool | None:
    asked = written.get(word)
    if asked is None:
        # An energy brings its stress as either stress or virial: asking for one excludes both.
        looked_for = word == "forces" or (word == "stress" and not written.get("virial"))
        return None if looked_for and can_have_gradients(target) else False
    if asked is False:
        return False
    gradient = {} if asked is True else _with_path(asked)
    own = {"unit": gradient["unit"]} if gradient.get("unit") else {}
    return {**_source(gradient, target), "key": gradient.get("key", word), **own}


def _source(written: Section, above: Section) -> Section:
    """File and reader of labels, where they are not written those of what stands above them."""
    read_from = written.get("read_from", above["read_from"])
    # the reader of one file says nothing of another, whose ending decides
    inherited = above["reader"] if read_from == above["read_from"] else None
    return {"read_from": read_from, "reader": written.get("reader") or inherited}


def _with_path(written: str | Section) -> Section:
    return {"read_from": written} if isinstance(written, str) else written


def to_specs(section: Any) -> tuple[DatasetSpec, ...]:
    """The readers' specs of an expanded section."""
    specs = []
    for dataset in as_list(section):
        targets = _target_specs(dataset.get("targets", {}))
        extra_data = _target_specs(dataset.get("extra_data", {}))
        indices = dataset.get("indices")
        indices = tuple(indices) if isinstance(indices, list) else indices
        specs.append(DatasetSpec(SystemsSpec(**dataset["systems"]), targets, extra_data, indices))
    return tuple(specs)


def _target_specs(targets: Section) -> tuple[TargetSpec, ...]:
    specs = []
    for name, target in targets.items():
        fields = {key: value for key, value in target.items() if key not in GRADIENT_OF}
        gradients = []
        for word in GRADIENT_OF:
            # extra data have no gradients at all, a target has false where it has none
            source = target.get(word, False)
            if source is None:
                where = (target["read_from"], target["reader"])
                gradients.append(GradientSpec(word, word, *where, required=False))
            elif source is not False:
                gradients.append(GradientSpec(word, **source))
        specs.append(TargetSpec(name=name, gradients=tuple(gradients), **fields))
    return tuple(specs)
