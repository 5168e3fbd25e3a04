"""Options files of metatrain 2026.4.1 run as they are: its README's example, its test options.

The files name ``qm9_reduced_100.xyz`` with the energy ``U0``; a hundred structures of the shipped
ethanol under that name and key stand in for it. Of the test options, ``extra_data`` that nothing
reads are left out: here they are refused.
"""

from pathlib import Path

import pytest
from ase.io import read, write

from mt_core.cli import main
from mt_core.examples.copies import EXAMPLES

README_EXAMPLE = """\
architecture:
  name: soap_bpnn
  training:
    num_epochs: 5

training_set:
  systems: "qm9_reduced_100.xyz"
  targets:
    energy:
      key: "U0"
      unit: "eV"

test_set: 0.1
validation_set: 0.1
"""

TEST_OPTIONS = """\
seed: 42

architecture:
  name: soap_bpnn
  training:
    batch_size: 5
    num_epochs: 1
  model:
    soap:
      max_radial: 4
      max_angular: 2

training_set:
  systems:
    read_from: qm9_reduced_100.xyz
    length_unit: angstrom
  targets:
    energy:
      key: U0
      unit: eV

test_set: 0.5
validation_set: 0.1
"""


@pytest.fixture
def qm9_like(tmp_path, monkeypatch):
    """A working folder with a hundred structures, their energies under the key U0."""
    frames = read(EXAMPLES / "ethanol" / "ethanol.xyz", index=":100")
    for atoms in frames:
        atoms.info = {"U0": atoms.get_potential_energy()}
        atoms.calc = None
    write(tmp_path / "qm9_reduced_100.xyz", frames)
    monkeypatch.chdir(tmp_path)


EXTRA_DATA = """\
  extra_data:
    extra:
      key: U0
      unit: eV
"""


@pytest.mark.parametrize("options", [README_EXAMPLE, TEST_OPTIONS], ids=["readme", "tests"])
def test_metatrain_files_run_unchanged(options, qm9_like, capsys):
    Path("options.yaml").write_text(options)
    assert main(["train", "options.yaml"]) == 0, capsys.readouterr().err
    assert Path("model.pt").is_file()
    assert "pair_style metatomic model.pt" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("extra", "training_set.extra_data.extra (line 22): found 'extra', expected an input"),
        ("mtt::extra", "reading the input 'mtt::extra' (extra_data): nothing would"),
    ],
)
def test_extra_data_that_nothing_reads_is_refused_with_the_reason(name, reason, qm9_like, capsys):
    options = TEST_OPTIONS.replace(
        "\ntest_set", EXTRA_DATA.replace("extra:", f"{name}:") + "\ntest_set"
    )
    Path("options.yaml").write_text(options)
    assert main(["train", "options.yaml"]) == 1
    assert reason in capsys.readouterr().err
