"""The curators' word on each architecture of this repository, from the life-cycle manifest."""

from __future__ import annotations

import yaml

from distributions import BY_NAME

LIFECYCLE = BY_NAME["mt-core"].source / "architectures/lifecycle.yaml"


def stage(name: str) -> str | None:
    """None for an example of the documentation, which is no architecture of theirs."""
    return stages().get(name)


def stable() -> list[str]:
    return sorted(name for name, each in stages().items() if each == "stable")


def stages() -> dict[str, str]:
    manifest = yaml.safe_load(LIFECYCLE.read_text(encoding="utf-8"))
    return {name: entry["stage"] for name, entry in manifest.items()}
