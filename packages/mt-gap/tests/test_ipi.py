"""The exported model in i-PI: a server and a driver with a socket between them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from metatomic_ase import MetatomicCalculator

NUM_STEPS = 20
TIMEOUT = 120
INPUT = """\
<simulation verbosity='quiet'>
  <output prefix='simulation'>
    <properties stride='1' filename='out'>
      [ potential{{electronvolt}}, conserved{{electronvolt}} ]
    </properties>
  </output>
  <total_steps>{steps}</total_steps>
  <ffsocket mode='unix' name='driver' pbc='false'><address>{address}</address></ffsocket>
  <system>
    <initialize nbeads='1'>
      <file mode='xyz'> start_ipi.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces><force forcefield='driver'/></forces>
    <motion mode='dynamics'>
      <dynamics mode='nve'><timestep units='femtosecond'> 0.25 </timestep></dynamics>
    </motion>
    <ensemble><temperature units='kelvin'> 300 </temperature></ensemble>
  </system>
</simulation>
"""


@pytest.fixture
def simulated(train, dataset, frames, tmp_path):
    """A folder with an exported model, a structure, and a simulation of it by i-PI."""
    model = train(dataset(frames(20)[::2]))
    model.export().save(str(tmp_path / "model.pt"), collect_extensions=str(tmp_path / "ext"))
    atoms = frames(1)[0]
    atoms.calc = None
    ase.io.write(tmp_path / "start.xyz", atoms)
    comment = "# CELL(abcABC): 40 40 40 90 90 90 cell{angstrom} positions{angstrom}"
    rows = [f"{a.symbol} {a.x:.12f} {a.y:.12f} {a.z:.12f}" for a in atoms]
    text = "\n".join([str(len(atoms)), comment, *rows, ""])
    (tmp_path / "start_ipi.xyz").write_text(text, encoding="utf-8")
    address = f"mt-gap-{os.getpid()}"
    (tmp_path / "input.xml").write_text(INPUT.format(steps=NUM_STEPS, address=address))
    parameters = "template=start.xyz,model=model.pt,extensions=ext"
    with (tmp_path / "said.log").open("w") as said:
        server = start(["i-pi", "input.xml"], tmp_path, said)
        socket = Path("/tmp", f"ipi_{address}")
        wait_for(socket, server, tmp_path)
        command = ["i-pi-py_driver", "-u", "-a", address, "-m", "metatomic", "-o", parameters]
        driver = start(command, tmp_path, said)
        status = server.wait(TIMEOUT)
        driver.wait(TIMEOUT)
    assert status == 0, (tmp_path / "said.log").read_text()
    return tmp_path


def start(command, folder, said):
    script = Path(sys.executable).parent / command[0]
    return subprocess.Popen([script, *command[1:]], cwd=folder, stdout=said, stderr=said)


def wait_for(socket, server, folder):
    """Until the server listens."""
    deadline = time.monotonic() + TIMEOUT
    while not socket.exists():
        ended = server.poll() is not None or time.monotonic() > deadline
        assert not ended, (folder / "said.log").read_text()
        time.sleep(0.05)


def test_simulation_by_ipi(simulated):
    """It begins with the energy that ASE finds, and keeps the total energy."""
    potential, conserved = np.loadtxt(simulated / "simulation.out").T
    assert len(potential) == NUM_STEPS + 1
    atoms = ase.io.read(simulated / "start.xyz")
    extensions = str(simulated / "ext")
    atoms.calc = MetatomicCalculator(
        str(simulated / "model.pt"), extensions_directory=extensions, device="cpu"
    )
    np.testing.assert_allclose(potential[0], atoms.get_potential_energy(), rtol=0, atol=1e-6)
    assert np.ptp(potential) > 20 * np.ptp(conserved)
