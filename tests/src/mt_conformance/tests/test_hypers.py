"""Hypers: their defaults, their schema, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from mt_conformance.inputs import Subject, abilities, needs
from mt_conformance.providing import not_provided
from mt_conformance.tests.comparing import assert_close
from mt_shared.errors import OptionsError
from mt_shared.options import LENGTH_UNITS, UNSET, Hyper, hyper_table, merge_hypers, resolve_hypers
from mt_shared.registry import SCHEMA

SECTIONS = ["model", "training"]
WITHOUT_TYPE = "a value"
NUMBERS = ("a number", "a whole number")


@pytest.fixture
def with_schema(subject: Subject) -> Subject:
    if subject.entry.schema is None:
        not_provided(SCHEMA, subject.name)
    return subject


def test_defaults_fit_the_schema(with_schema: Subject) -> None:
    """`default-hypers.yaml` alone is valid by `schema-hypers.json`.

    IF IT FAILS: the error lists each default that the schema refuses; change one of the two.
    """
    resolve_hypers(with_schema.entry, {}, source="default-hypers.yaml")


@pytest.mark.parametrize("section", SECTIONS)
def test_every_hyper_is_described(with_schema: Subject, section: str) -> None:
    """Each hyper has a type, a description, and bounds if it is a number.

    IF IT FAILS: the message names the hypers; give them `type` (or `enum`, `const`), `description`
    with the unit, and `minimum`, `exclusiveMinimum` or their like in `schema-hypers.json`.
    """
    table = [hyper for hyper in hyper_table(with_schema.entry) if hyper.path[0] == section]
    lacking = [f"{hyper.name} has no {what}" for hyper in table for what in _lacking(hyper)]
    assert not lacking, f"in schema-hypers.json {'; '.join(lacking)}"


def test_every_hyper_has_a_default(with_schema: Subject) -> None:
    """Each hyper that the schema describes has a default, so that model and trainer find it.

    IF IT FAILS: add it to `default-hypers.yaml`; where it may be left out, as null.
    """
    table = hyper_table(with_schema.entry)
    lacking = [hyper.name for hyper in table if len(hyper.path) == 2 and hyper.default is UNSET]
    assert not lacking, f"default-hypers.yaml has no {', '.join(lacking)}, and the schema has"


def _lacking(hyper: Hyper) -> list[str]:
    there = {
        "description": hyper.description.strip(),
        "type": hyper.kind != WITHOUT_TYPE,
        "bounds": hyper.bounds or not hyper.kind.startswith(NUMBERS),
    }
    return [what for what, is_there in there.items() if not is_there]


def test_tiny_hypers_fit_the_schema(with_schema: Subject) -> None:
    """`HYPERS` of `conformance.py` over the defaults are valid by `schema-hypers.json`.

    IF IT FAILS: the error lists each fault; mend `conformance.py`.
    """
    resolve_hypers(with_schema.entry, with_schema.hypers, source="HYPERS in conformance.py")


@pytest.mark.parametrize("section", SECTIONS)
def test_misspelt_hyper_is_refused(with_schema: Subject, section: str) -> None:
    """A name that does not exist is refused, and the nearest one that does is suggested.

    IF IT FAILS: say `"additionalProperties": false` (beside the `$ref` to the engine:
    `"unevaluatedProperties": false`) in `schema-hypers.json`.
    """
    defaults: dict[str, Any] = getattr(merge_hypers(with_schema.entry, {}), section)
    if not defaults:
        pytest.skip(f"there are no hypers in the section '{section}'")
    # of the longest name, without its last letter but one: near enough to be suggested
    right = max(defaults, key=len)
    wrong = right[:-2] + right[-1]
    with pytest.raises(OptionsError) as refusal:
        resolve_hypers(with_schema.entry, {section: {wrong: defaults[right]}})
    message = str(refusal.value)
    assert wrong in message, f"the error does not name '{wrong}': {message}"
    assert f"'{right}'" in message, f"the error does not suggest '{right}': {message}"


def test_finetuning_methods_can_be_chosen(with_schema: Subject) -> None:
    """Each method of fine-tuning in `capabilities.yaml` is one that the schema accepts.

    IF IT FAILS: strike the method off `finetuning` in `capabilities.yaml`, or add it to
    `training.finetune.method` in `schema-hypers.json`.
    """
    for method in with_schema.capabilities["finetuning"]:
        finetune = {"method": method, "read_from": "model.ckpt"}
        fault = refusal(with_schema, {"finetune": finetune})
        assert not fault, (
            f"capabilities.yaml names the fine-tuning '{method}', which the schema refuses: {fault}"
        )


def test_default_lengths_follow_the_data(with_schema: Subject) -> None:
    """With default hypers the neighborhood of an atom is as large in bohr as in angstrom.

    IF IT FAILS: mark each hyper that is a length by `"unit": "length"` in `schema-hypers.json`; its
    default is in angstrom.
    """
    cutoffs = {}
    for unit in ("angstrom", "bohr"):
        info = replace(with_schema.dataset_info(), length_unit=unit)
        hypers = merge_hypers(with_schema.entry, {}, unit)
        model: Any = with_schema.model_class(hypers.model, info)
        requested = model.requested_neighbor_lists()
        cutoffs[unit] = [LENGTH_UNITS[unit] * options.cutoff for options in requested]
    assert_close(cutoffs["bohr"], cutoffs["angstrom"], 1e-6, "cutoffs in bohr, made angstrom,")


@needs(abilities.distributed)
def test_distributed_training_can_be_chosen(with_schema: Subject) -> None:
    """With `distributed: true` in `capabilities.yaml` the schema accepts that hyper.

    IF IT FAILS: write `distributed: false` in `capabilities.yaml`: the shared engine trains in one
    process. A trainer of your own names the hyper in `schema-hypers.json`.
    """
    fault = refusal(with_schema, {"distributed": True})
    assert not fault, (
        f"capabilities.yaml says distributed: true, which the schema refuses as a hyper: {fault}"
    )


def refusal(subject: Subject, training: dict[str, Any]) -> str:
    """Why hypers of the training are refused; empty where they are not."""
    try:
        resolve_hypers(subject.entry, {"training": training})
    except OptionsError as error:
        return str(error)
    return ""
