"""The suite chooses by capabilities: it passes on an architecture of vectors, without energies."""

from pathlib import Path

import pytest

from toys.breakage import Breakage
from toys.running import faults, read_results, run

pytestmark = pytest.mark.slow

VECTORS = Breakage("vectors_alone", {}, (), (), "vectors")
# what says something of an architecture without energies, one method of fine-tuning, and one target
AT_LEAST = 100


def test_an_architecture_of_vectors_alone_passes_the_suite(tmp_path: Path) -> None:
    run([VECTORS], tmp_path / "run", whole_suite=True)
    results = read_results(tmp_path / "run")
    # it trains so quickly that it may end before it was killed often enough (issue 10)
    wrong = [each for each in faults(VECTORS, results) if "test_killed_at_any_moment" not in each]
    assert not wrong, "\n\n".join(wrong)
    outcomes = [each["outcome"] for each in results[VECTORS.architecture].values()]
    assert outcomes.count("passed") > AT_LEAST, outcomes
