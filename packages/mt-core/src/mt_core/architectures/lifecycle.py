"""The stage of each architecture in its life: experimental, stable, deprecated or third-party."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from mt_shared.errors import ArchitectureError
from mt_shared.options import Fault, check, raise_faults, read_yaml
from mt_shared.registry import ArchitectureEntry, distribution_name, find, normalized

MANIFEST = Path(__file__).with_name("lifecycle.yaml")
SCHEMA = Path(__file__).with_name("schema-lifecycle.json")


@dataclass(frozen=True)
class LifeCycle:
    """What the curators say of one architecture; the last four only of a deprecated one.

    ``removal`` is the last day on which it is promised to be there.
    """

    stage: str
    since: str = ""
    reason: str = ""
    replacement: str = ""
    deprecated_on: date | None = None
    removal: date | None = None


THIRD_PARTY = LifeCycle("third-party")


@cache
def first_party() -> dict[str, LifeCycle]:
    """The manifest: the architectures of this project by name, installed or not."""
    return read_manifest(MANIFEST)


def read_manifest(path: Path) -> dict[str, LifeCycle]:
    """A manifest of life cycles, checked against its schema.

    :raises OptionsError: naming every fault
    """
    manifest = read_yaml(path)
    check(manifest, json.loads(SCHEMA.read_text(encoding="utf-8")), str(path))
    faults = [
        fault
        for name, facts in manifest.items()
        for fault in (*_date_faults(name, facts), *_replacement_faults(name, manifest))
    ]
    raise_faults(faults, str(path))
    return {name: _life_cycle(facts) for name, facts in manifest.items()}


def stage_of(name: str, distribution: str | None = None) -> LifeCycle:
    """The life cycle of an architecture; one that the manifest does not name is third-party.

    :param distribution: the one that provides it, if it is installed: the manifest speaks of the
        project's own, not of a stranger's under the same name
    """
    if distribution is not None and normalized(distribution) != distribution_name(name):
        return THIRD_PARTY
    return first_party().get(name, THIRD_PARTY)


def check_removal(name: str, life_cycle: LifeCycle, today: date | None = None) -> None:
    """Refuse a deprecated architecture after its date of removal.

    :raises ArchitectureError: with reason, replacement and date, and how to train it all the same
    """
    if life_cycle.removal is None or _is_ahead(life_cycle.removal, today):
        return
    raise ArchitectureError(
        f"the architecture '{name}' is deprecated, and its date of removal, {life_cycle.removal}, "
        f"has passed: {life_cycle.reason}. Use {life_cycle.replacement} instead, or train it all "
        "the same with --allow-deprecated (from Python: allow_deprecated=True)"
    )


def _is_ahead(day: date, today: date | None) -> bool:
    return (today or date.today()) <= day


def notice(name: str, life_cycle: LifeCycle, today: date | None = None) -> str | None:
    """What a user is told at run time of an architecture in this stage, if anything."""
    if life_cycle.stage == "experimental":
        return f"the architecture '{name}' is experimental: its results and options may change"
    if life_cycle.stage == "deprecated":
        assert life_cycle.removal is not None
        may_be = (
            "may be removed after" if _is_ahead(life_cycle.removal, today) else "may be gone since"
        )
        return (
            f"the architecture '{name}' is deprecated: {life_cycle.reason}; use "
            f"{life_cycle.replacement} instead; it {may_be} {life_cycle.removal}"
        )
    return None


_DATES = ("deprecated_on", "removal")
_MONTHS_OF_NOTICE = 6


def _life_cycle(facts: dict[str, str]) -> LifeCycle:
    dates = {key: date.fromisoformat(facts[key]) for key in _DATES if key in facts}
    return LifeCycle(**{**facts, **dates})  # type: ignore[arg-type]


def _date_faults(name: str, facts: dict[str, str]) -> Iterator[Fault]:
    """What the schema cannot say of dates: that they are in the calendar, and far enough apart."""
    impossible = [key for key in _DATES if key in facts and not _is_date(facts[key])]
    for key in impossible:
        yield Fault((name, key), f"{facts[key]} is no day of the calendar")
    if "removal" not in facts or impossible:
        return
    first, last = (date.fromisoformat(facts[key]) for key in _DATES)
    months = (last.year - first.year) * 12 + last.month - first.month
    if (months, last.day) < (_MONTHS_OF_NOTICE, first.day):
        message = f"{last} is less than {_MONTHS_OF_NOTICE} months after deprecated_on, {first}"
        yield Fault((name, "removal"), message)


def _replacement_faults(name: str, manifest: dict[str, dict[str, str]]) -> Iterator[Fault]:
    """A replacement is another architecture of the manifest, and stays."""
    replacement = manifest[name].get("replacement")
    if replacement is None:
        return
    staying = [other for other, facts in manifest.items() if facts["stage"] != "deprecated"]
    if replacement not in staying:
        message = (
            f"found '{replacement}', expected one that is not deprecated: {', '.join(staying)}"
        )
        yield Fault((name, "replacement"), message)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


@cache
def find_entry(name: str) -> ArchitectureEntry:
    """The installed architecture of a name; with an unknown one, the manifest helps to guess."""
    return find(name, known=first_party())
