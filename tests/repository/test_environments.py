"""The environments of hatch: found from the folders, each with its own versions."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from distributions import ROOT, all_architectures

NAMES = [name.replace("_", "-") for name in all_architectures()]


@pytest.fixture(scope="module")
def environments():
    """What ``hatch env show`` says."""
    hatch = shutil.which("hatch") or str(Path(sys.executable).with_name("hatch"))
    command = [hatch, "env", "show", "--json"]
    # hatch takes its own variables for options
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HATCH_ENV")}
    done = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("matrix", ["arch", "lowest", "newest"])
@pytest.mark.parametrize("name", NAMES)
def test_each_architecture_has_its_own(environments, matrix, name):
    environment = environments[f"{matrix}.{name}"]
    folder = all_architectures()[name.replace("-", "_")].path
    assert environment["workspace"]["members"] == ["shared", "packages/mt-core", "tests", folder]
    assert environment["env-vars"]["MT_ARCHITECTURE"] == name.replace("-", "_")
    suite = f"--pyargs mt_conformance --architecture {name.replace('-', '_')}"
    assert suite in environment["scripts"]["conformance"][0]


@pytest.mark.parametrize("name", NAMES)
def test_the_lowest_has_the_floors_and_the_newest_no_constraint(environments, name):
    arch, lowest, newest = (environments[f"{each}.{name}"] for each in ("arch", "lowest", "newest"))
    assert Path(arch["env-vars"]["PIP_CONSTRAINT"]) == ROOT / "constraints.txt"
    assert lowest["env-vars"]["PIP_CONSTRAINT"] == newest["env-vars"]["PIP_CONSTRAINT"] == ""
    assert "metatensor-torch==0.10.5" in lowest["dependencies"]
    assert not newest.get("dependencies")


def test_one_command_runs_everything(environments):
    unit, architectures = environments["default"]["scripts"]["test"]
    for folder in ("shared/tests", "packages/mt-core/tests", "tests/repository"):
        assert folder in unit
    assert architectures == "hatch run arch:test"
