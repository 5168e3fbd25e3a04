"""Labels that are odd or not where they are looked for: told by `mt train` and `mt eval`, once."""

import re
from pathlib import Path

import pytest

MT_TRAIN = "train options.yaml -r architecture.training.num_epochs=1"


@pytest.mark.parametrize("forces", ["true", "false"])
def test_an_energy_that_is_equal_in_all_frames_is_named(
    workspace, frames, succeed, write_xyz, forces
):
    for frame in frames:
        frame[1] = re.sub(r"energy=\S+", "energy=-3.5", frame[1])
    write_xyz(frames)
    shown = succeed(*f"{MT_TRAIN} -r training_set.targets.energy.forces={forces}".split())
    said = "note: 'energy' is -3.5 in all 40 frames although the structures differ"
    assert shown.count(said) == 1
    assert not re.search(r"\b(inf|nan)\b", shown)


def test_forces_under_another_key_are_told(workspace, frames, succeed, write_xyz):
    """An energy of which nothing is said brings its forces along, where they are found."""
    for frame in frames:
        frame[1] = frame[1].replace(":forces:R", ":Forces:R")
    write_xyz(frames)
    options = Path("options.yaml").read_text()
    Path("options.yaml").write_text(options.replace(", forces: true", ""))
    shown = succeed(MT_TRAIN)
    assert shown.count("'Forces' (in arrays) is written otherwise: not used") == 1
    Path("short.yaml").write_text(
        "systems: {read_from: ethanol.xyz, length_unit: angstrom}\ntargets: {energy: {unit: eV}}\n"
    )
    shown = succeed("eval model.pt short.yaml -b 3")
    assert shown.count("'Forces' (in arrays) is written otherwise: not used") == 1
