"""The stage of each architecture in its life: experimental, stable, deprecated or third-party."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from mt_shared.errors import ArchitectureError
from mt_shared.options import Fault, check, raise_faults, read_yaml
from mt_shared.registry import distribution_name, normalized

MANIFEST = Path(__file__).with_name("lifecycle.yaml")
SCHEMA = Path(__file__).with_name("schema-lifecycle.json")


@dataclass(frozen=True)
class LifeCycle:
    """What the curators say of one architecture; the last four only of a deprecated one."""

    stage: str
    since: str = ""
    reason: str = ""
    replacement: str = ""
    deprecated_on: date | None = None
    removal: date | None = None
    """The last day on which it is promised to be there."""


THIRD_PARTY = LifeCycle("third-party")
_DATES = ("deprecated_on", "removal")
_MONTHS_OF_NOTICE = 6


@cache
def first_party() -> dict[str, LifeCycle]:
    """The manifest: the architectures of this project by name, installed or not."""
    return read_manifest(MANIFEST)


def read_manifest(path: Path) -> dict[str, LifeCycle]:
    """A manifest of life cycles, checked against its schema."""
    manifest = read_yaml(path)
    check(manifest, json.loads(SCHEMA.read_text(encoding="utf-8")), str(path))
    raise_faults([fault for name in manifest for fault in _faults(name, manifest)], str(path))
    life_cycles = {}
    for name, facts in manifest.items():
        dates = {key: date.fromisoformat(facts[key]) for key in _DATES if key in facts}
        life_cycles[name] = LifeCycle(**{**facts, **dates})
    return life_cycles


def stage_of(name: str, distribution: str | None = None) -> LifeCycle:
    """The life cycle of an architecture; one that the manifest does not name is third-party.

    :param distribution: the one that provides it, if it is installed: the manifest speaks of the
        project's own, not of a stranger's under the same name
    """
    if distribution is not None and normalized(distribution) != distribution_name(name):
        return THIRD_PARTY
    return first_party().get(name, THIRD_PARTY)


def check_removal(name: str, life_cycle: LifeCycle, today: date | None = None) -> None:
    """Refuse a deprecated architecture after its date of removal."""
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


def _faults(name: str, manifest: dict[str, dict[str, str]]) -> Iterator[Fault]:
    """What the schema cannot say: dates of the calendar, far enough apart; and what replaces."""
    facts = manifest[name]
    days = []
    for key in filter(facts.__contains__, _DATES):
        try:
            days.append(date.fromisoformat(facts[key]))
        except ValueError:
            yield Fault((name, key), f"{facts[key]} is no day of the calendar")
    if len(days) == len(_DATES):
        first, last = days
        # months of the calendar: where the difference is just six, the day of the month decides
        months = (last.year - first.year) * 12 + last.month - first.month
        if (months, last.day) < (_MONTHS_OF_NOTICE, first.day):
            message = f"{last} is less than {_MONTHS_OF_NOTICE} months after deprecated_on, {first}"
            yield Fault((name, "removal"), message)
    # one that goes too would send its users on and on
    staying = [other for other, them in manifest.items() if them["stage"] != "deprecated"]
    if "replacement" in facts and facts["replacement"] not in staying:
        message = (
            f"found '{facts['replacement']}', expected one that is not deprecated: "
            f"{', '.join(staying)}"
        )
        yield Fault((name, "replacement"), message)
