"""``mt doctor``: what is installed and how it is run, and what is wrong with either.

The text is meant to be pasted into a report: it has no names of machines and of users, and folders
are shown relative to the home and to the environment.
"""

import getpass
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from mt_core.architectures import stage_of
from mt_core.doctor.probe import LIBRARIES
from mt_shared.errors import UserError, nearest
from mt_shared.options import LOSS_GROUP, installed_losses
from mt_shared.registry import (
    GROUP,
    ArchitectureEntry,
    facts,
    installed,
    normalized,
    requirements,
    unmet,
)
from mt_shared.threads import allowed_threads

FIRST_LINE = "mt doctor: to be pasted into a report; it names no machine, no user, no own folder"
_SHOWN = re.compile(r"mt-|torch$|metatensor|metatomic|ase$|numpy$|vesin$|featomic|sphericart")
_OURS = re.compile(r"mt[-_.](shared|core)\b")
_RUN_PROBE = "import sys; from mt_core.doctor.probe import main; main(sys.argv[1:])"
_SECONDS_TO_IMPORT = 300
# variables of a launcher that say how many processes there are, and which one this is
_LAUNCHERS = {
    "torchrun": ("WORLD_SIZE", "RANK", "LOCAL_RANK"),
    # srun sets the first; a batch script is one process, however many tasks the job has
    "SLURM": ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_CPUS_PER_TASK", "SLURM_PROCID"),
}


@dataclass
class Section:
    """One part of the report: what there is, and what is wrong with it and how to mend it."""

    title: str
    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def text(self) -> str:
        faults = [f"FAULT: {fault}" for fault in self.faults]
        return "\n".join([self.title, *(f"  {line}" for line in [*self.lines, *faults])])


@dataclass(frozen=True)
class Probe:
    """What imports, by name, with what it said of itself; and what does not, with the reason."""

    found: dict[str, dict[str, Any]]
    errors: dict[str, str]


def report() -> tuple[str, int]:
    """The whole report, and the number of faults in it, which its last line says too."""
    known = list(_distributions_that_matter())
    entries = installed()
    names = [name for name, entry in entries.items() if entry.error is None]
    # where they cannot be listed, their section tells of it
    with suppress(UserError):
        names += [entry.value for entry in installed_losses().values() if entry.error is None]
    probe = try_imports(names)
    sections = [
        versions(known),
        clashes(known),
        libraries(probe),
        architectures(entries, probe, known),
        losses(probe),
        devices(probe),
        threads(os.environ, probe),
        launcher(os.environ),
        command(),
    ]
    num_faults = sum(len(section.faults) for section in sections)
    count = {0: "no fault found", 1: "1 fault found"}.get(num_faults, f"{num_faults} faults found")
    lines = [FIRST_LINE, *(section.text() for section in sections), count]
    return anonymous("\n".join(lines)), num_faults


# ---- what is installed


def versions(known: Iterable[Distribution]) -> Section:
    """Versions of Python and of what matters here."""
    system = f"{platform.system()} {platform.machine()} {' '.join(platform.libc_ver())}".strip()
    found = sorted(f"{normalized(facts(each).name)} {facts(each).version}" for each in known)
    return Section("versions", [f"python {platform.python_version()}, {system}", *found])


def clashes(known: Iterable[Distribution]) -> Section:
    """Requirements that are not fulfilled."""
    section = Section("requirements")
    required = {}
    for each in known:
        name = f"{facts(each).name} {facts(each).version}"
        try:
            required[name] = requirements(each)
        except UserError as error:
            section.faults.append(f"{name}: {error}")
    # a version that is right for one may be wrong for another: the remedy is for all of them
    together: defaultdict[str, SpecifierSet] = defaultdict(SpecifierSet)
    for requirement in chain.from_iterable(required.values()):
        together[normalized(requirement.name)] &= requirement.specifier
    for name, own in required.items():
        for clash in unmet(own):
            specifiers = together[normalized(clash.requirement.name)]
            remedy = (
                f"pip install '{clash.requirement.name}{specifiers}'"
                if _can_be_met(specifiers)
                else "no version is right for all that is installed here: upgrade those that "
                "require it, or use an environment of its own for each architecture"
            )
            section.faults.append(f"{name} requires {clash}; {remedy}")
    section.lines += [] if section.faults else ["all fulfilled"]
    return section


def _can_be_met(specifiers: SpecifierSet) -> bool:
    """Whether some version is admitted: if any is, one at or just above a bound is."""
    bounds = [each.version.removesuffix(".*") for each in specifiers]
    above = [f"{Version(bound).base_version}.0.1" for bound in bounds]
    return any(specifiers.contains(each, prereleases=True) for each in ("0", *bounds, *above))


def architectures(
    entries: Mapping[str, ArchitectureEntry], probe: Probe, known: Iterable[Distribution] = ()
) -> Section:
    """Every installed architecture, and why it is broken if it is.

    :param known: distributions of which some may have meant to bring an architecture
    """
    section = Section("architectures")
    for name, entry in entries.items():
        error = entry.error or probe.errors.get(name)
        if error is None:
            stage = stage_of(name, entry.distribution).stage
            section.lines.append(f"{name} {entry.version}, {stage}")
        else:
            section.faults.append(f"{name} is broken: {error}")
    section.lines += [] if entries else ["none is installed; mt list shows how to get one"]
    section.faults += misspelt_groups(known)
    return section


def misspelt_groups(known: Iterable[Distribution]) -> Iterator[str]:
    """Entry points in groups that nothing reads, and that look like those that are read."""
    for each in known:
        # where they cannot be read, the registry tells of it
        with suppress(Exception):
            for group in sorted({point.group for point in each.entry_points} - {GROUP, LOSS_GROUP}):
                meant = nearest(group, (GROUP, LOSS_GROUP))
                if meant is not None:
                    yield (
                        f"{facts(each).name} registers in the group '{group}', which nothing "
                        f"reads; is '{meant}' meant? Mend [project.entry-points] in its "
                        "pyproject.toml, and install it again"
                    )


def losses(probe: Probe) -> Section:
    """Every installed loss with the package that brings it, and why it is broken if it is."""
    section = Section("losses")
    try:
        entries = installed_losses()
    # mt-shared itself brings none
    except UserError as error:
        section.faults.append(str(error))
        return section
    for name, entry in entries.items():
        reason = entry.error or probe.errors.get(entry.value)
        if reason is None:
            section.lines.append(f"{name} of {entry.distribution} {entry.version}")
        else:
            section.faults.append(f"{name} is broken: {reason}")
        if entry.clash is not None:
            section.faults.append(f"{name} of {entry.distribution} is used: {entry.clash}")
    return section


def libraries(probe: Probe) -> Section:
    """Whether what everything stands on can be imported."""
    remedy = "reinstall it, in the version that the others require"
    return Section(
        "libraries",
        [f"{name} is imported" for name in LIBRARIES if name in probe.found],
        [
            f"{name} cannot be imported: {probe.errors[name]}; {remedy}"
            for name in LIBRARIES
            if name in probe.errors
        ],
    )


# ---- how it is run


def devices(probe: Probe) -> Section:
    """What torch can compute on."""
    section = Section("devices", [f"cpu: {allowed_threads()} for this process of {os.cpu_count()}"])
    torch = probe.found.get("torch")
    if torch is None:
        section.lines.append("others are unknown without torch")
        return section
    section.lines += [f"cuda:{number}: {name}" for number, name in enumerate(torch["devices"])]
    if torch["built_for"] == "cpu":
        section.lines.append("torch is built for CPUs alone")
    else:
        section.lines.append(f"torch is built for GPUs, {torch['built_for']}")
        section.lines += [] if torch["devices"] else ["torch sees no GPU"]
    return section


def threads(environment: Mapping[str, str], probe: Probe) -> Section:
    """How many threads a process has, and whether that is too many."""
    wish = environment.get("OMP_NUM_THREADS")
    section = Section("threads", [f"OMP_NUM_THREADS {'is not set' if wish is None else wish}"])
    if "torch" in probe.found:
        section.lines.append(f"torch takes {probe.found['torch']['threads']}")
    remedy = f"export OMP_NUM_THREADS={allowed_threads()}"
    if wish is None:
        return section
    if not wish.isdigit() or int(wish) < 1:
        section.faults.append(
            f"OMP_NUM_THREADS is '{wish}', expected a whole number of at least 1; unset it, or "
            f"{remedy}"
        )
    elif int(wish) > allowed_threads():
        section.faults.append(
            f"OMP_NUM_THREADS is {wish}, and this process has {allowed_threads()} CPUs: threads "
            f"wait for one another; {remedy}"
        )
    return section


def launcher(environment: Mapping[str, str]) -> Section:
    """What started the process, if that is a launcher of several."""
    section = Section("launcher")
    for name, variables in _LAUNCHERS.items():
        given = {key: environment[key] for key in variables if key in environment}
        if given:
            shown = ", ".join(f"{key}={value}" for key, value in given.items())
            section.lines.append(f"{name}: {shown}")
        processes = given.get(variables[0], "1")
        if processes.isdigit() and int(processes) > 1:
            section.faults.append(
                f"{name} starts {processes} processes, and each mt train would train by itself: "
                "training by several processes is not there yet; start one"
            )
    section.lines += [] if section.lines else ["none"]
    return section


def command() -> Section:
    """Which program the name ``mt`` means: a tape tool has it too."""
    section = Section("command")
    first, own = shutil.which("mt"), _own_command()
    if first is None:
        section.lines.append("mt is not on PATH; python -m mt_core does the same")
    elif own is None or Path(first).resolve() != own.resolve():
        section.faults.append(
            f"mt is {first}, which is not that of this mt-core (there is a tape tool of that "
            "name); write python -m mt_core, or put the folder of this one first on PATH"
        )
    else:
        section.lines.append(f"mt is {first}")
    return section


def _own_command() -> Path | None:
    """The script ``mt`` that came with mt-core."""
    try:
        files = distribution("mt-core").files or []
    except PackageNotFoundError:
        return None
    scripts = [file for file in files if file.stem == "mt" and file.suffix in ("", ".exe")]
    return Path(str(scripts[0].locate())) if scripts else None


# ---- looking


def try_imports(names: list[str]) -> Probe:
    """Import libraries, architectures and losses in a process of its own, which they may end.

    :param names: of architectures; losses by what their entry points name, ``package.module:Name``
    """
    found, errors = {}, {}
    output, ending = _run_probe(names)
    for line in output.splitlines():
        # the other lines are what the libraries print themselves
        if line.startswith('{"name": '):
            step = json.loads(line)
            if "error" in step:
                errors[step["name"]] = step["error"]
            else:
                found[step["name"]] = step["found"]
    silent = [name for name in (*LIBRARIES, *names) if name not in found and name not in errors]
    # those after the one that ended the process were never tried
    if silent:
        errors[silent[0]] = ending
        errors |= dict.fromkeys(silent[1:], f"not tried, since {silent[0]} ended the process")
    return Probe(found, errors)


def _run_probe(names: list[str]) -> tuple[str, str]:
    """What the probe has printed, and how it ended."""
    try:
        run = subprocess.run(
            # not with -m: the folder's door imports the module first, of which Python warns
            [sys.executable, "-c", _RUN_PROBE, *names],
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_IMPORT,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        # always bytes or None, whatever `text` says (the docs of subprocess.TimeoutExpired)
        output = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        return output, f"it takes longer than {_SECONDS_TO_IMPORT} s"
    last_words = run.stderr.strip().rpartition("\n")[2]
    return run.stdout, f"it ends Python with status {run.returncode} {last_words}"


def _distributions_that_matter() -> Iterator[Distribution]:
    """Ours, architectures, and the libraries that all stand on; of each the first on the path."""
    seen: set[str] = set()
    for each in distributions():
        # pip tells of those that have no metadata
        with suppress(UserError):
            name = normalized(facts(each).name)
            matters = bool(_SHOWN.match(name))
            # where they cannot be read, the registry tells of it
            with suppress(Exception):
                groups = {point.group for point in each.entry_points}
                matters = matters or not groups.isdisjoint((GROUP, LOSS_GROUP))
                # one whose entry point is not where it should be
                matters = matters or any(map(_OURS.match, each.requires or []))
            if matters and name not in seen:
                yield each
            seen.add(name)


def anonymous(text: str) -> str:
    """The text with the folders of the environment and of the user by other names."""
    for folder, name in ((sys.prefix, "ENVIRONMENT"), (str(Path.home()), "~")):
        if len(folder) > 1:
            text = text.replace(folder, name)
    try:
        user = getpass.getuser()
    # no such user in the system's list, as in a container
    except (KeyError, OSError):
        return text
    # a user's name is also in other paths, such as those of scratch disks
    return re.sub(rf"(?<=/){re.escape(user)}\b", "USER", text)
