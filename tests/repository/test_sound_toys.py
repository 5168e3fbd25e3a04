"""Packages written otherwise than the templates pass the suite; see ``tests/toys/sound.py``."""

from __future__ import annotations

import pytest

from mt_conformance.inputs import SharedFolders, shared_root
from toys.breakage import Breakage
from toys.running import Results, faults, read_results, run
from toys.sound import SOUND


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What the suite says of all of them, in one run for all workers."""
    shared = SharedFolders(shared_root(tmp_path_factory.getbasetemp()))
    return read_results(shared.get("sound-toys", lambda folder: run(SOUND, folder)))


@pytest.mark.parametrize("each", SOUND, ids=lambda each: each.name)
def test_a_sound_package_passes(each: Breakage, results: Results) -> None:
    wrong = faults(each, results)
    assert not wrong, "\n\n".join(wrong)
