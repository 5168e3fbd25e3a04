"""What is promised to be small is small."""

import pytest

from distributions import ROOT

PROMISES = [
    ("docs/examples/mt-schnet", 80),
    ("packages/mt-core/src/mt_core/architectures/templates/mlip", 80),
    ("packages/mt-painn", 250),
]


@pytest.mark.parametrize(("folder", "most"), PROMISES)
def test_an_architecture_on_the_base_classes_is_short(folder, most):
    files = sorted((ROOT / folder / "src").rglob("*.py"))
    lines = {file.name: len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert files
    assert sum(lines.values()) <= most, lines
