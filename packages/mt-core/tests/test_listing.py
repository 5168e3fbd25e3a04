"""The list of architectures, for people and for programs."""

import json
import subprocess
import sys
from datetime import date

import pytest

from mt_core.architectures import listing
from mt_core.architectures.lifecycle import THIRD_PARTY, LifeCycle
from mt_shared.registry import ArchitectureEntry

CAPABILITIES = {
    "targets": {"scalar": ["system", "atom"]},
    "gradients": ["positions", "strain"],
    "finetuning": [],
}
MANIFEST = {
    "good": LifeCycle("stable", "1.0.0"),
    "far_off": LifeCycle("experimental", "0.1.0"),
    "old": LifeCycle(
        "deprecated", "2.0.0", "it is slow", "good", date(2029, 1, 1), date(2030, 1, 31)
    ),
}
ENTRIES = {
    "good": ArchitectureEntry(
        "good",
        "mt-good",
        "1.2.3",
        "mt_good",
        capabilities=CAPABILITIES,
        maintainers=(("A <a@example.org>", "@a"), ("B <b@example.org>", "")),
    ),
    "bad": ArchitectureEntry("bad", "mt-bad", "0.1.0", "mt_bad", error="its schema is gone"),
    "old": ArchitectureEntry("old", "mt-old", "2.0.0", "mt_old", capabilities=CAPABILITIES),
}


@pytest.fixture
def listed(monkeypatch):
    """An installed, a broken, a deprecated and a missing architecture."""
    monkeypatch.setattr(listing, "installed", lambda: ENTRIES)
    monkeypatch.setattr(listing, "first_party", lambda: MANIFEST)
    monkeypatch.setattr(
        listing, "stage_of", lambda name, distribution=None: MANIFEST.get(name, THIRD_PARTY)
    )
    return listing.rows()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_the_table_has_a_line_for_each_with_every_column(listed):
    table = [cells(line) for line in listing.as_table(listed).splitlines()]
    assert table[:5] == [
        list(listing.HEADER),
        ["bad", "third-party", "0.1.0", "mt-bad", "-", "-", "-", "-", "broken"],
        [
            *("far_off", "experimental", "-", "mt-far-off", "-", "-", "-", "-"),
            "pip install mt-far-off",
        ],
        [
            *("good", "stable", "1.2.3", "mt-good"),
            *("scalar: system, atom", "forces, stress", "none", "@a, B <b@example.org>", "yes"),
        ],
        [
            *("old", "deprecated", "2.0.0", "mt-old"),
            *("scalar: system, atom", "forces, stress", "none", "-", "yes"),
        ],
    ]


def test_what_is_broken_and_what_is_deprecated_have_their_reasons(listed):
    lines = listing.as_table(listed).splitlines()[5:]
    assert lines[0] == "bad is broken: its schema is gone"
    for fact in ("it is slow", "use good instead", "2030-01-31"):
        assert fact in lines[1]


@pytest.mark.parametrize("width", [80, 110, 120])
def test_no_line_is_wider_than_the_terminal(listed, width):
    text = listing.as_table(listed, width)
    assert max(map(len, text.splitlines())) <= width
    for row in listed:
        assert row.name in text
    assert "mt-far-off" in text


def test_a_table_that_nearly_fits_is_broken_in_its_cells_alone(listed):
    wide = listing.as_table(listed).splitlines()
    lines = listing.as_table(listed, width=len(wide[2]) - 2).splitlines()
    assert cells(lines[0]) == list(listing.HEADER), "it is a table still"
    assert len(lines) > len(wide)


def test_where_no_table_fits_each_has_lines_of_its_own(listed):
    lines = listing.as_table(listed, width=60).splitlines()
    at = lines.index("good")
    assert lines[at + 1 : at + 4] == [
        "  stage         stable",
        "  version       1.2.3",
        "  distribution  mt-good",
    ]
    assert "  installed     pip install mt-far-off" in lines


def test_json_says_the_same_to_programs(listed):
    by_name = {row["name"]: row for row in json.loads(listing.as_json(listed))}
    assert by_name["good"]["installed"] is True
    assert by_name["good"]["capabilities"] == CAPABILITIES
    assert by_name["good"]["maintainers"] == [
        ["A <a@example.org>", "@a"],
        ["B <b@example.org>", ""],
    ]
    assert by_name["bad"]["error"] == "its schema is gone"
    assert by_name["far_off"]["remedy"] == "pip install mt-far-off"
    assert by_name["far_off"]["stage"] == "experimental"
    assert by_name["old"]["removal"] == "2030-01-31"


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["list", "--json"],
        ["describe", "soap_bpnn"],
        ["describe", "soap_bpnn", "--defaults"],
    ],
)
def test_listing_and_describing_import_no_torch_and_no_architecture(command):
    code = (
        "import sys; from mt_core.cli.commands import main; assert main(sys.argv[1:]) == 0;"
        "heavy = {'torch', 'numpy', 'ase', 'metatensor', 'metatomic', 'mt_soap_bpnn'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=False
    )
    assert run.stdout.splitlines()[-1] == "[]", run.stderr
