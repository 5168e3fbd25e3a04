"""Installed architectures by name. For a name that is none, the manifest helps to guess."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from mt_core.architectures.lifecycle import first_party
from mt_shared.registry import ArchitectureEntry, People, find, load_entry, look_up

if TYPE_CHECKING:
    from mt_shared.contract import Architecture


# cached: a run asks several times, and each time all data files of all packages would be read
@cache
def find_entry(name: str) -> ArchitectureEntry:
    """What is known of an architecture that can be used."""
    return find(name, known=first_party())


def look_up_entry(name: str) -> ArchitectureEntry:
    """What is known of an architecture, even if it is broken."""
    return look_up(name, known=first_party())


def load_architecture(name: str) -> Architecture:
    """Import an architecture."""
    return load_entry(find_entry(name))


def people_of(people: People) -> str:
    """Handles, or names where there is no handle; ``-`` for nobody."""
    return ", ".join(handle or person for person, handle in people) or "-"
