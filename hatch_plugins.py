"""The hatch environments ``arch.NAME``, ``lowest.NAME`` and ``newest.NAME``: one for each
architecture in the repository, never listed.

The pins of two architectures may contradict each other, so each is tested in its own environment.
"""

import os
import sys
from pathlib import Path
from typing import Any

from hatch.env.collectors.plugin.interface import EnvironmentCollectorInterface

# hatch loads this file by its path; scripts are no package
sys.path.insert(0, str(Path(__file__).parent / "scripts/releases"))
from distributions import Distribution, all_architectures
from floors import pins

MATRICES = ("arch", "lowest", "newest")
# set by the nightly workflow: its machine has the lowest Python, for which that torch was built
TORCH_TOO = "MT_LOWEST_TORCH"


class ArchitectureEnvironments(EnvironmentCollectorInterface):
    """Fills in the matrices of ``hatch.toml``."""

    def finalize_config(self, config: dict[str, dict[str, Any]]) -> None:
        """Give each one variant an architecture, named as its distribution: ``soap-bpnn``."""
        for matrix in MATRICES:
            config[matrix]["matrix"] = [{"distribution": list(variants())}]
            config[matrix]["matrix-name-format"] = "{value}"

    def finalize_environments(self, config: dict[str, dict[str, Any]]) -> None:
        """Install into each variant its architecture, and tell its scripts which one it is."""
        for name, distribution in variants().items():
            for matrix in MATRICES:
                environment = config[f"{matrix}.{name}"]
                # an example of the documentation has none of its own
                tests = distribution.folder / "tests"
                members = environment["workspace"]["members"]
                environment["workspace"] = {"members": [*members, distribution.path]}
                environment["env-vars"] = {
                    **environment["env-vars"],
                    "MT_ARCHITECTURE": name.replace("-", "_"),
                    "MT_TESTS": f"{distribution.path}/tests" if tests.is_dir() else "",
                }
            with_torch = bool(os.environ.get(TORCH_TOO))
            config[f"lowest.{name}"]["dependencies"] = pins(distribution, with_torch=with_torch)


def variants() -> dict[str, Distribution]:
    """Each architecture by the name of its environments."""
    return {name.replace("_", "-"): each for name, each in all_architectures().items()}
