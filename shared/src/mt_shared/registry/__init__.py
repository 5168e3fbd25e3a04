"""Which architectures are installed, what they say of themselves, and how to load one.

Listing reads metadata and data files alone; :func:`load` imports exactly one. No torch before that.
"""

from mt_shared.entry_points import normalized
from mt_shared.registry.distributions import facts, requirements, unmet
from mt_shared.registry.entries import (
    CAPABILITIES,
    DEFAULT_HYPERS,
    GROUP,
    SCHEMA,
    ArchitectureEntry,
    distribution_name,
    find,
    installed,
    look_up,
    read_capabilities,
)
from mt_shared.registry.loading import load, load_entry, place_in_source
from mt_shared.registry.package_source import People, read_people, read_references

__all__ = [
    "CAPABILITIES",
    "DEFAULT_HYPERS",
    "GROUP",
    "SCHEMA",
    "ArchitectureEntry",
    "People",
    "distribution_name",
    "facts",
    "find",
    "installed",
    "load",
    "load_entry",
    "look_up",
    "normalized",
    "place_in_source",
    "read_capabilities",
    "read_people",
    "read_references",
    "requirements",
    "unmet",
]
