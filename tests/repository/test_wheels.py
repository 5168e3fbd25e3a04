"""What a user gets from ``pip install``: the wheels, with their data files."""

import subprocess
import sys
import zipfile

import pytest

from distributions import DISTRIBUTIONS


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda each: each.name)
def test_a_wheel_holds_every_file_of_the_source(distribution, tmp_path):
    build = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        tmp_path,
    ]
    done = subprocess.run(
        build, cwd=distribution.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    source = {
        path.relative_to(distribution.source.parent).as_posix()
        for path in distribution.source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        assert source <= set(archive.namelist())
