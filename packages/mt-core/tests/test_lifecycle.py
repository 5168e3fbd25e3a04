"""The manifest of stages, and what is said of each stage."""

import pytest

from mt_core.lifecycle import THIRD_PARTY, LifeCycle, first_party, notice, read_manifest, stage_of
from mt_shared.errors import OptionsError

DEPRECATED = """
old:
  stage: deprecated
  since: 2.0.0
  reason: it was too slow
  replacement: soap_bpnn
  removal: 2030-01-31
"""


def test_the_shipped_manifest_keeps_its_schema():
    assert first_party()["soap_bpnn"] == LifeCycle("stable", "0.1.0")


def test_what_the_manifest_does_not_name_is_third_party():
    assert stage_of("somebody_elses") is THIRD_PARTY


def test_a_deprecated_architecture_keeps_its_three_facts(tmp_path):
    (tmp_path / "lifecycle.yaml").write_text(DEPRECATED)
    old = read_manifest(tmp_path / "lifecycle.yaml")["old"]
    said = notice("old", old)
    for fact in ("it was too slow", "soap_bpnn", "2030-01-31"):
        assert fact in said


@pytest.mark.parametrize("fact", ["reason", "replacement", "removal"])
def test_a_deprecated_architecture_must_have_all_three(tmp_path, fact):
    lines = [line for line in DEPRECATED.splitlines() if fact not in line]
    (tmp_path / "lifecycle.yaml").write_text("\n".join(lines))
    with pytest.raises(OptionsError, match=fact):
        read_manifest(tmp_path / "lifecycle.yaml")


def test_an_unknown_stage_is_refused(tmp_path):
    (tmp_path / "lifecycle.yaml").write_text("new: {stage: shiny, since: 1.0.0}")
    with pytest.raises(OptionsError, match="shiny"):
        read_manifest(tmp_path / "lifecycle.yaml")


def test_an_experimental_architecture_says_so_and_a_stable_one_nothing():
    assert "experimental" in notice("new", LifeCycle("experimental", "0.1.0"))
    assert notice("soap_bpnn", LifeCycle("stable", "1.0.0")) is None
    assert notice("somebody_elses", THIRD_PARTY) is None
