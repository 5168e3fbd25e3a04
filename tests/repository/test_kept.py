"""``python -m mt_conformance.regression``: which checkpoints are kept, and under which names."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mt_conformance.inputs import subject_of
from mt_conformance.regression import FOLDER, keep

SOUND = subject_of("soap_bpnn")
KEPT = SOUND.entry.folder / FOLDER


@pytest.fixture
def subject(tmp_path):
    """The architecture, as if it had kept its checkpoints elsewhere."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    for file in KEPT.glob("v2.*"):
        shutil.copy(file, folder)
    return replace(SOUND, entry=replace(SOUND.entry, folder=tmp_path))


def test_a_checkpoint_without_average_and_best_state_is_not_kept(subject):
    with pytest.raises(SystemExit, match=r"no averaged weights and no best state.*ema_decay"):
        keep(subject, KEPT / "v2.ckpt")


def test_one_that_has_more_is_kept_beside_the_other_once(subject):
    written = keep(subject, KEPT / "v2b.ckpt")
    assert [file.name for file in written] == ["v2b.ckpt", "v2b.json", "seeded.json"]
    there, expected = (json.loads(each.read_text()) for each in (written[1], KEPT / "v2b.json"))
    assert there.keys() == expected.keys()
    for name, values in expected.items():
        # to the digits that another machine has too
        np.testing.assert_allclose(there[name], values, rtol=1e-9, atol=1e-9)
    with pytest.raises(SystemExit, match=r"v2b\.ckpt is there already"):
        keep(subject, KEPT / "v2b.ckpt")


def test_values_that_are_there_are_left_as_they_are(subject):
    file = subject.entry.folder / FOLDER / "v2.json"
    file.write_text("mine")
    keep(subject, None)
    assert file.read_text() == "mine"
