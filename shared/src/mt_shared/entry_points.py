"""What installed distributions offer by entry points, found without importing any of them."""

import re
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import EntryPoint, distributions, entry_points
from importlib.util import find_spec
from pathlib import Path


def entry_points_of(group: str) -> list[EntryPoint]:
    """The entry points of a group, of all distributions whose metadata can be read."""
    try:
        return list(entry_points(group=group))
    # One distribution with unreadable metadata is enough, and it need not be one of ours.
    except Exception:
        readable: dict[str, Iterable[EntryPoint]] = {}
        for each in distributions():
            # The first in the path is the one that gets imported; others of its name are leftovers.
            with suppress(Exception):
                readable.setdefault(normalized(each.metadata["Name"]), each.entry_points)
        return [point for points in readable.values() for point in points if point.group == group]


def name_and_version(point: EntryPoint) -> tuple[str, str]:
    """Those of the distribution of an entry point, ``unknown`` where its metadata lack them."""
    assert point.dist is not None, "it was found in one"
    metadata = point.dist.metadata
    # asked first: to index what is not there gives None, and an error in later versions of Python
    found = {key: metadata[key] for key in ("Name", "Version") if key in metadata}
    return found.get("Name") or "unknown", found.get("Version") or "unknown"


def package_folder(package: str) -> Path | None:
    """The folder of a top-level package; None if there is none of that name."""
    # find_spec imports the parents of a dotted name, so only a top-level module will do
    spec = find_spec(package)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    return Path(locations[0]) if locations else None


def normalized(name: str) -> str:
    """The name of a distribution as package indices write it: ``A.b_c`` is ``a-b-c``."""
    return re.sub(r"[-_.]+", "-", name).lower()
