"""The stage of each architecture in its life: experimental, stable, deprecated or third-party."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mt_shared.options import check, read_yaml
from mt_shared.registry import ArchitectureEntry, find

MANIFEST = Path(__file__).with_name("lifecycle.yaml")
SCHEMA = Path(__file__).with_name("schema-lifecycle.json")


@dataclass(frozen=True)
class LifeCycle:
    """What the curators say of one architecture; the last three only of a deprecated one."""

    stage: str
    since: str = ""
    reason: str = ""
    replacement: str = ""
    removal: str = ""


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
    return {name: LifeCycle(**facts) for name, facts in manifest.items()}


def stage_of(name: str) -> LifeCycle:
    """The life cycle of an architecture; one that the manifest does not name is third-party."""
    return first_party().get(name, THIRD_PARTY)


def notice(name: str, life_cycle: LifeCycle) -> str | None:
    """What a user is told at run time of an architecture in this stage, if anything."""
    if life_cycle.stage == "experimental":
        return f"the architecture '{name}' is experimental: its results and options may change"
    if life_cycle.stage == "deprecated":
        return (
            f"the architecture '{name}' is deprecated: {life_cycle.reason}; use "
            f"{life_cycle.replacement} instead; it may be removed on {life_cycle.removal}"
        )
    return None


@cache
def find_entry(name: str) -> ArchitectureEntry:
    """The installed architecture of a name; with an unknown one, the manifest helps to guess."""
    return find(name, known=first_party())
