"""The hatch environments ``arch.NAME``: one for each architecture in the repository, never listed.

The pins of two architectures may contradict each other, so each is tested in its own environment.
"""

from itertools import chain
from pathlib import Path
from typing import Any

from hatch.env.collectors.plugin.interface import EnvironmentCollectorInterface
from hatch.utils.toml import load_toml_file

PREFIX = "arch."
FOLDERS = ("packages", "docs/examples")


class ArchitectureEnvironments(EnvironmentCollectorInterface):
    """Fills in the matrix ``arch`` of ``hatch.toml``."""

    def finalize_config(self, config: dict[str, dict[str, Any]]) -> None:
        """Give ``arch`` one variant an architecture, named as its distribution: ``soap-bpnn``."""
        names = list(architectures(Path(self.root)))
        config["arch"]["matrix"] = [{"distribution": names}]
        config["arch"]["matrix-name-format"] = "{value}"

    def finalize_environments(self, config: dict[str, dict[str, Any]]) -> None:
        """Install into each variant its architecture, and tell its scripts which one it is."""
        for name, folder in architectures(Path(self.root)).items():
            environment = config[PREFIX + name]
            members = environment["workspace"]["members"]
            environment["workspace"] = {"members": [*members, folder]}
            environment["env-vars"] = {
                **environment["env-vars"],
                "MT_ARCHITECTURE": name.replace("-", "_"),
                # an example has no tests of its own
                "MT_TESTS": f"{folder}/tests" if Path(self.root, folder, "tests").is_dir() else "",
            }


def architectures(root: Path) -> dict[str, str]:
    """Folder of each architecture by the name of its environment: all that declare themselves."""
    found = {}
    files = chain.from_iterable(root.glob(f"{folder}/*/pyproject.toml") for folder in FOLDERS)
    for file in sorted(files):
        project = load_toml_file(str(file))["project"]
        if "mt.architectures" in project.get("entry-points", {}):
            found[project["name"].removeprefix("mt-")] = file.parent.relative_to(root).as_posix()
    return found
