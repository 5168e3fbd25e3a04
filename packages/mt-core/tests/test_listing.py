"""The list of architectures, for people and for programs."""

import json

import pytest

from mt_core import listing
from mt_core.lifecycle import LifeCycle
from mt_shared.registry import ArchitectureEntry

CAPABILITIES = {
    "targets": {"scalar": ["system", "atom"]},
    "gradients": ["positions"],
    "finetuning": [],
}


@pytest.fixture
def listed(monkeypatch):
    """An installed, a broken and a missing architecture."""
    entries = {
        "good": ArchitectureEntry("good", "mt-good", "1.2.3", "mt_good", capabilities=CAPABILITIES),
        "bad": ArchitectureEntry("bad", "mt-bad", "0.1.0", "mt_bad", error="its schema is gone"),
    }
    manifest = {"good": LifeCycle("stable", "1.0.0"), "far_off": LifeCycle("experimental", "0.1.0")}
    monkeypatch.setattr(listing, "installed", lambda: entries)
    monkeypatch.setattr(listing, "first_party", lambda: manifest)
    monkeypatch.setattr(
        listing, "stage_of", lambda name: manifest.get(name, LifeCycle("third-party"))
    )
    return listing.rows()


def test_the_table_has_a_line_for_each(listed):
    table = listing.as_table(listed).splitlines()
    assert table[0].split() == list(listing.HEADER)
    assert [line.split()[:4] for line in table[1:4]] == [
        ["bad", "third-party", "broken", "mt-bad"],
        ["far_off", "experimental", "-", "mt-far-off"],
        ["good", "stable", "1.2.3", "mt-good"],
    ]
    assert "scalar per system and atom" in table[3]


def test_a_broken_one_has_its_reason_and_a_missing_one_its_remedy(listed):
    lines = listing.as_table(listed).splitlines()[4:]
    assert lines == [
        "bad is broken: its schema is gone",
        "far_off is not installed: pip install mt-far-off",
    ]


def test_json_says_the_same_to_programs(listed):
    by_name = {row["name"]: row for row in json.loads(listing.as_json(listed))}
    assert by_name["good"]["installed"] is True
    assert by_name["good"]["capabilities"] == CAPABILITIES
    assert by_name["bad"]["error"] == "its schema is gone"
    assert by_name["far_off"]["remedy"] == "pip install mt-far-off"
