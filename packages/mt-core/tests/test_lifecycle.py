"""The manifest of stages, and what is said of each stage."""

from datetime import date

import pytest

import mt_core
from mt_core.architectures import lifecycle
from mt_core.architectures.lifecycle import (
    THIRD_PARTY,
    LifeCycle,
    check_removal,
    first_party,
    notice,
    read_manifest,
    stage_of,
)
from mt_shared.errors import ArchitectureError, OptionsError

DEPRECATED = """
soap_bpnn:
  stage: stable
  since: 0.1.0
old:
  stage: deprecated
  since: 2.0.0
  reason: it was too slow
  replacement: soap_bpnn
  deprecated_on: 2029-07-31
  removal: 2030-01-31
"""
OLD = LifeCycle(
    "deprecated", "2.0.0", "it was too slow", "new", date(2029, 7, 31), date(2030, 1, 31)
)


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


def test_a_strangers_package_of_a_first_party_name_is_third_party():
    assert stage_of("soap_bpnn", "mt-soap-bpnn").stage == "stable"
    assert stage_of("soap_bpnn", "MT_soap.bpnn").stage == "stable"
    assert stage_of("soap_bpnn", "my-soap-bpnn") is THIRD_PARTY


@pytest.mark.parametrize(
    ("deprecated_on", "removal", "fault"),
    [
        ("2029-08-01", "2030-01-31", "old.removal: 2030-01-31 is less than 6 months after"),
        ("2029-07-31", "2029-07-31", "old.removal: 2029-07-31 is less than 6 months after"),
        ("2029-07-31", "2030-02-30", "old.removal: 2030-02-30 is no day of the calendar"),
        ("2029-13-01", "2030-02-28", "old.deprecated_on: 2029-13-01 is no day of the calendar"),
        ("2029-07-31", "next year", "old.removal"),
    ],
)
def test_dates_are_real_ones_and_six_months_apart(tmp_path, deprecated_on, removal, fault):
    text = DEPRECATED.replace("2029-07-31", deprecated_on).replace("2030-01-31", removal)
    (tmp_path / "lifecycle.yaml").write_text(text)
    with pytest.raises(OptionsError) as caught:
        read_manifest(tmp_path / "lifecycle.yaml")
    assert fault in str(caught.value)


@pytest.mark.parametrize("replacement", ["old", "never_heard_of"])
def test_the_replacement_is_another_one_that_stays(tmp_path, replacement):
    text = DEPRECATED.replace("replacement: soap_bpnn", f"replacement: {replacement}")
    (tmp_path / "lifecycle.yaml").write_text(text)
    with pytest.raises(OptionsError, match=rf"old\.replacement.*'{replacement}'.*: soap_bpnn"):
        read_manifest(tmp_path / "lifecycle.yaml")


def test_after_the_date_of_removal_it_may_be_gone():
    assert "may be removed after 2030-01-31" in notice("old", OLD, date(2030, 1, 31))
    assert "may be gone since 2030-01-31" in notice("old", OLD, date(2030, 2, 1))


def test_an_architecture_that_is_not_deprecated_has_no_date_of_removal(tmp_path):
    text = DEPRECATED.replace("stage: deprecated", "stage: stable")
    (tmp_path / "lifecycle.yaml").write_text(text)
    with pytest.raises(OptionsError, match=r"removal.*only a deprecated architecture has it"):
        read_manifest(tmp_path / "lifecycle.yaml")


@pytest.mark.parametrize("today", [date(2029, 8, 1), date(2030, 1, 31)])
def test_until_its_date_a_deprecated_architecture_is_not_refused(today):
    check_removal("old", OLD, today)


def test_after_its_date_it_is_refused_with_all_three_facts_and_the_way_round():
    with pytest.raises(ArchitectureError) as caught:
        check_removal("old", OLD, date(2030, 2, 1))
    for fact in ("'old'", "2030-01-31", "too slow", "Use new instead", "--allow-deprecated"):
        assert fact in str(caught.value)


def test_stages_without_a_date_are_never_refused():
    for life_cycle in (THIRD_PARTY, LifeCycle("stable", "1.0.0"), LifeCycle("experimental")):
        check_removal("new", life_cycle, date.max)


@pytest.fixture
def deprecate(monkeypatch):
    """Deprecate soap_bpnn until a day."""

    def until(day: date) -> None:
        gone = LifeCycle("deprecated", "2.0.0", "it was too slow", "new", date.min, day)
        monkeypatch.setattr(lifecycle, "first_party", lambda: {"soap_bpnn": gone})

    return until


def test_mt_train_warns_of_a_deprecated_architecture(workspace, succeed, deprecate):
    deprecate(date.max)
    said = [
        line for line in succeed("train --dry-run options.yaml").splitlines() if "depre" in line
    ]
    assert said == [
        "the architecture 'soap_bpnn' is deprecated: it was too slow; use new instead; it may be "
        "removed after 9999-12-31"
    ]


def test_mt_train_refuses_after_the_date_unless_told_otherwise(
    workspace, refuse, succeed, deprecate
):
    deprecate(date(2001, 1, 31))
    (workspace / "ethanol.xyz").unlink()
    assert "--allow-deprecated" in refuse("train --dry-run options.yaml")
    told = refuse("train --dry-run --allow-deprecated options.yaml")
    assert "ethanol.xyz" in told, "the data are what is refused now"
    with pytest.raises(ArchitectureError, match="allow_deprecated=True"):
        mt_core.train("options.yaml")


def test_mt_train_says_in_one_line_that_an_architecture_is_experimental(
    workspace, succeed, monkeypatch
):
    stage = {"soap_bpnn": LifeCycle("experimental", "0.1.0")}
    monkeypatch.setattr(lifecycle, "first_party", lambda: stage)
    lines = succeed("train --dry-run options.yaml").splitlines()
    assert len([line for line in lines if "experimental" in line]) == 1


@pytest.mark.parametrize("fact", ["reason", "replacement", "deprecated_on", "removal"])
def test_a_deprecated_architecture_must_have_all_of_them(tmp_path, fact):
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
