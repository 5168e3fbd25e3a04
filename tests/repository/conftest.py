"""What several of these tests stand on."""

import shutil
from pathlib import Path

import pytest

from temporary_repository import Repository, copy_repository


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository that no test changes."""
    return copy_repository(tmp_path_factory.mktemp("original"))


@pytest.fixture
def repository(original: Repository, tmp_path: Path) -> Repository:
    """A repository of the test's own."""
    root = tmp_path / "repository"
    shutil.copytree(original.root, root)
    return Repository(root)
