"""A trained model in i-PI: a server and a driver, two processes with a socket between them."""

import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import ase
import ase.io
import numpy as np

from mt_conformance.runs.mt_command import TIMEOUT

NUM_STEPS = 20
POLL = 0.05
LOG = "ipi.log"
START, START_OF_IPI = "start.xyz", "start_ipi.xyz"
# where i-PI puts its sockets, with this before their names
SOCKETS = "/tmp/ipi_"
INPUT = """\
<simulation verbosity='quiet'>
  <output prefix='simulation'>
    <properties stride='1' filename='out'>
      [ potential{{electronvolt}}, conserved{{electronvolt}} ]
    </properties>
    <trajectory filename='forces' stride='{steps}' format='ase'> forces{{ase}} </trajectory>
  </output>
  <total_steps>{steps}</total_steps>
  <ffsocket mode='unix' name='driver' pbc='false'><address>{address}</address></ffsocket>
  <system>
    <initialize nbeads='1'>
      <file mode='xyz'> {start} </file>
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


@dataclass(frozen=True)
class IpiResults:
    """Potential and total energy (T + 1,) in eV, and the forces (A, 3) of the first step."""

    potential: np.ndarray
    conserved: np.ndarray
    forces: np.ndarray


def run_in_ipi(folder: Path, line: str, atoms: ase.Atoms) -> None:
    """Move atoms without a cell at constant energy by i-PI, and leave what it wrote in a folder.

    :param folder: with the model of the driver
    :param line: the driver's command, to which the name of the socket is added
    """
    ase.io.write(folder / START, atoms)
    # i-PI wants a cell; it is not periodic
    comment = "# CELL(abcABC): 40 40 40 90 90 90 cell{angstrom} positions{angstrom}"
    ase.io.write(folder / START_OF_IPI, atoms, format="xyz", comment=comment)
    address = f"mt-{uuid4().hex}"
    settings = INPUT.format(steps=NUM_STEPS, address=address, start=START_OF_IPI)
    (folder / "input.xml").write_text(settings, encoding="utf-8")
    with (folder / LOG).open("w") as log:
        server = _start(["i-pi", "input.xml"], folder, log.fileno())
        # a driver that comes before the server listens is refused
        _wait_for(Path(SOCKETS + address), server, folder)
        driver = _start([*shlex.split(line), "-u", "-a", address], folder, log.fileno())
        _end(server, driver, folder)


def _start(command: list[str], folder: Path, log: int) -> subprocess.Popen[bytes]:
    script = Path(sys.executable).with_name(command[0])
    arguments = [str(script), *command[1:]]
    return subprocess.Popen(arguments, cwd=folder, stdout=log, stderr=log)


def _wait_for(socket: Path, server: subprocess.Popen[bytes], folder: Path) -> None:
    """Until the server listens."""
    deadline = time.monotonic() + TIMEOUT
    while not socket.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            server.kill()
            server.wait()
            raise AssertionError(
                f"the server of i-PI does not start:\n{(folder / LOG).read_text()}"
            )
        time.sleep(POLL)


def _end(server: subprocess.Popen[bytes], driver: subprocess.Popen[bytes], folder: Path) -> None:
    """Until both have ended; a driver that fails leaves the server waiting for another one."""
    try:
        driver.wait(TIMEOUT)
        status = server.wait(POLL if driver.returncode else TIMEOUT)
    except subprocess.TimeoutExpired:
        status = 1
    finally:
        for process in (driver, server):
            process.kill()
            process.wait()
    if driver.returncode or status:
        raise AssertionError(f"i-PI cannot run the exported model:\n{(folder / LOG).read_text()}")


def read_ipi_results(folder: Path) -> IpiResults:
    """What i-PI wrote."""
    potential, conserved = np.loadtxt(folder / "simulation.out").T
    (file,) = folder.glob("simulation.forces*")
    first = next(ase.io.iread(file, index=0))
    return IpiResults(potential, conserved, first.get_forces())
