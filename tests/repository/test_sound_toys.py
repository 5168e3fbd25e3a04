"""Packages written otherwise than the templates pass the suite; see ``tests/toys/sound.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from toys.breakage import Breakage
from toys.running import Results, faults, read_results, run, shared_results
from toys.sound import SOUND, VECTORS

# of VECTORS: what says something of an architecture without energies, one method of fine-tuning,
# and one target
AT_LEAST = 100


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return shared_results("sound-toys", SOUND, tmp_path_factory)


@pytest.mark.parametrize("each", SOUND, ids=lambda each: each.name)
def test_a_sound_package_passes(each: Breakage, results: Results) -> None:
    wrong = faults(each, results)
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.slow
def test_an_architecture_of_vectors_alone_passes_the_whole_suite(tmp_path: Path) -> None:
    """The suite chooses by capabilities, and energies are one of them."""
    run([VECTORS], tmp_path / "run", whole_suite=True)
    results = read_results(tmp_path / "run")
    wrong = faults(VECTORS, results)
    assert not wrong, "\n\n".join(wrong)
    outcomes = [each["outcome"] for each in results[VECTORS.architecture].values()]
    assert outcomes.count("passed") > AT_LEAST, outcomes
