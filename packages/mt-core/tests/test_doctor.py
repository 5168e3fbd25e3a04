"""``mt doctor``: what it finds wrong in an installation, and what it keeps to itself."""

import json
import os
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from mt_core.doctor import checks as doctor
from mt_core.doctor.checks import Probe
from mt_shared.errors import UserError
from mt_shared.options import LossEntry, installed_losses
from mt_shared.registry import ArchitectureEntry

TORCH = {"threads": 2, "built_for": "12.8", "devices": ["A Large GPU"]}
HEALTHY = Probe({"torch": TORCH, "metatensor.torch": {}, "metatomic.torch": {}, "ase": {}}, {})


@pytest.fixture
def distribution(tmp_path):
    """Lay down the metadata of an installed distribution."""

    def install(name: str, version: str, *required: str) -> PathDistribution:
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in required]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        return PathDistribution(info)

    return install


@pytest.fixture
def installed(distribution, tmp_path, monkeypatch):
    """The same, where it is found by name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return distribution


@pytest.fixture
def healthy(monkeypatch):
    """Everything imports, and nothing is started by a launcher."""
    monkeypatch.setattr(doctor, "try_imports", lambda names: HEALTHY)
    monkeypatch.setattr(doctor, "command", lambda: doctor.Section("command"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for variable in (name for names in doctor._LAUNCHERS.values() for name in names):
        monkeypatch.delenv(variable, raising=False)


# ---- the whole


def test_a_sound_installation_has_no_fault(healthy, succeed):
    lines = succeed("doctor").splitlines()
    assert lines[0] == doctor.FIRST_LINE
    assert lines[-1] == "no fault found"
    for name in ("mt-core", "mt-shared", "torch", "metatensor-torch", "metatomic-torch", "numpy"):
        assert any(line.startswith(f"  {name} ") for line in lines), name
    assert any("soap_bpnn" in line and "stable" in line for line in lines)


def test_faults_are_counted_in_the_last_line_and_the_status_tells_of_them(healthy, mt, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    outcome = mt("doctor")
    assert (outcome.status, outcome.out.splitlines()[-1]) == (1, "1 fault found")
    monkeypatch.setenv("WORLD_SIZE", "4")
    outcome = mt("doctor")
    assert (outcome.status, outcome.out.splitlines()[-1]) == (1, "2 faults found")


def test_the_real_libraries_import():
    probe = doctor.try_imports(["soap_bpnn"])
    assert probe.errors == {}
    assert set(probe.found) == {*doctor.LIBRARIES, "soap_bpnn"}
    assert probe.found["torch"]["threads"] >= 1


def test_losses_are_imported_by_what_their_entry_points_name():
    found = installed_losses()["mse"].value
    lacking = f"{found}x"
    probe = doctor.try_imports([found, lacking, "no_such_module:Loss"])
    assert found in probe.found
    assert set(probe.errors) == {lacking, "no_such_module:Loss"}
    assert probe.errors["no_such_module:Loss"].startswith("ModuleNotFoundError: ")


def test_the_doctor_itself_imports_no_torch():
    code = "import sys, mt_core.doctor.checks; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


# ---- broken things


@pytest.fixture
def fake_torch(tmp_path, monkeypatch):
    """Puts a torch of these lines in front of the real one, for new processes."""

    def write(text: str) -> None:
        (tmp_path / "torch.py").write_text(text)
        before = os.environ.get("PYTHONPATH", "")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), before])))

    return write


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raise ImportError('libtorch.so is gone')", "ImportError: libtorch.so is gone"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import os\nos._exit(7)", "it ends Python with status 7"),
        ("print('noise')\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "status -9"),
    ],
)
def test_a_broken_torch_does_not_break_the_doctor(fake_torch, text, expected):
    fake_torch(text)
    probe = doctor.try_imports([])
    assert probe.errors["torch"].strip().endswith(expected)
    assert any("torch cannot be imported" in fault for fault in doctor.libraries(probe).faults)
    assert doctor.devices(probe).lines[-1] == "others are unknown without torch"


def test_what_comes_after_the_one_that_ends_the_process_is_not_called_broken_itself(monkeypatch):
    output = json.dumps({"name": "torch", "found": TORCH})
    monkeypatch.setattr(doctor, "_run_probe", lambda names: (output, "it ends Python"))
    probe = doctor.try_imports(["toy"])
    assert probe.errors["metatensor.torch"] == "it ends Python"
    assert "not tried" in probe.errors["toy"]


def test_imports_that_do_not_end_are_ended(monkeypatch):
    monkeypatch.setattr(doctor, "_SECONDS_TO_IMPORT", 0.001)
    assert "longer than" in doctor.try_imports([]).errors["torch"]


def test_a_broken_architecture_is_named_with_its_reason_and_another_is_not():
    entries = {
        "bad": ArchitectureEntry("bad", "mt-bad", "0.1.0", "mt_bad", error="its schema is gone"),
        "sad": ArchitectureEntry("sad", "mt-sad", "0.1.0", "mt_sad"),
        "good": ArchitectureEntry("good", "mt-good", "1.0.0", "mt_good"),
    }
    section = doctor.architectures(entries, Probe({"good": {}}, {"sad": "no scipy"}))
    assert section.faults == ["bad is broken: its schema is gone", "sad is broken: no scipy"]
    assert section.lines == ["good 1.0.0, third-party"]


def test_every_loss_is_named_with_its_package_and_a_broken_one_is_a_fault(monkeypatch):
    entries = {
        "good": LossEntry("good", "good-losses", "1.0", "good:Loss"),
        "bad": LossEntry("bad", "bad-losses", "2.0", "bad:Loss", error="its schema is gone"),
        "sad": LossEntry("sad", "sad-losses", "3.0", "sad:Loss"),
        "mse": LossEntry("mse", "mt-shared", "1.0", "x:MSE", clash="bad-losses registers it too"),
    }
    monkeypatch.setattr(doctor, "installed_losses", lambda: entries)
    section = doctor.losses(Probe({"good:Loss": {}}, {"sad:Loss": "no scipy"}))
    assert section.lines == ["good of good-losses 1.0", "mse of mt-shared 1.0"]
    assert section.faults == [
        "bad is broken: its schema is gone",
        "sad is broken: no scipy",
        "mse of mt-shared is used: bad-losses registers it too",
    ]


def test_an_installation_without_the_losses_of_mt_shared_is_a_fault(monkeypatch):
    def missing():
        raise UserError("reinstall it")

    monkeypatch.setattr(doctor, "installed_losses", missing)
    assert doctor.losses(HEALTHY).faults == ["reinstall it"]


def test_no_architecture_at_all_is_said():
    assert "mt list" in doctor.architectures({}, HEALTHY).lines[0]


@pytest.fixture
def with_entry_point(tmp_path, on_path):
    """Lay down a package with a model, whose distribution has this entry point."""

    def lay(entry_point: str, package: str = "mt_toy") -> None:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        info = tmp_path / "mt_toy-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mt-toy\nVersion: 1.2.3\n")
        (info / "entry_points.txt").write_text(entry_point)
        on_path(tmp_path)

    return lay


@pytest.mark.parametrize(
    ("entry_point", "hint"),
    [
        ("[mt.architectures]\ntoy = mt_toy:Model\n", 'write toy = "mt_toy" below'),
        ("[mt.architectures]\ntoy = mt_toy.model\n", 'write toy = "mt_toy" below'),
        ("[mt.architectures]\ntoy = mt-toy\n", 'write toy = "mt_toy" below'),
        ("[mt.architectures]\ntoy = mt_tyo\n", "'mt_toy' is; write toy = \"mt_toy\" below"),
        ("[mt.architecture]\ntoy = mt_toy\n", "mt-toy registers in the group 'mt.architecture'"),
        ("[mt_architectures]\ntoy = mt_toy\n", "is 'mt.architectures' meant?"),
        ("[mt.loss]\ntoy = mt_toy:Loss\n", "is 'mt.losses' meant?"),
    ],
)
def test_a_wrong_entry_point_is_a_fault_with_the_line_to_write(
    healthy, mt, with_entry_point, entry_point, hint
):
    with_entry_point(entry_point)
    outcome = mt("doctor")
    assert (outcome.status, outcome.out.splitlines()[-1]) == (1, "1 fault found")
    (fault,) = [line for line in outcome.out.splitlines() if "FAULT" in line]
    assert hint in fault
    assert "pyproject.toml" in fault and "install it again" in fault


# ---- requirements


def test_a_cap_that_clashes_is_a_fault_with_both_versions_and_a_remedy(installed):
    installed("toylib", "3.0")
    (fault,) = doctor.clashes([installed("mt-toy", "1.2.3", "toylib<3,>=2")]).faults
    assert fault == (
        "mt-toy 1.2.3 requires toylib<3,>=2, but 3.0 is installed; pip install 'toylib<3,>=2'"
    )


def test_the_remedy_is_right_for_all_that_are_installed(installed):
    installed("toylib", "1.0")
    first, second = installed("mt-a", "1.0", "toylib<3"), installed("mt-b", "1.0", "toylib>=2")
    (fault,) = doctor.clashes([first, second]).faults
    assert fault.endswith("pip install 'toylib<3,>=2'")


def test_requirements_that_contradict_each_other_want_two_environments(installed):
    installed("toylib", "2.5")
    first, second = installed("mt-a", "1.0", "toylib<2"), installed("mt-b", "1.0", "toylib>=2")
    (fault,) = doctor.clashes([first, second]).faults
    assert "no version is right for all" in fault
    assert "an environment of its own" in fault


@pytest.mark.parametrize(
    ("wanted", "possible"),
    [
        ([">=2", "<3"], True),
        ([">2", "<3"], True),
        (["==2.*"], True),
        (["~=2.1"], True),
        (["!=2"], True),
        ([""], True),
        ([">=2", "<2"], False),
        (["==2.1", "==2.2"], False),
    ],
)
def test_whether_any_version_is_right_is_told(wanted, possible):
    specifiers = doctor.SpecifierSet(",".join(filter(None, wanted)))
    assert doctor._can_be_met(specifiers) is possible


def test_what_is_missing_is_a_fault_and_what_an_extra_wants_is_none(installed):
    toy = installed("mt-toy", "1.2.3", "no-such-lib>=2", "other-lib; extra == 'docs'")
    (fault,) = doctor.clashes([toy]).faults
    assert "no-such-lib>=2, but it is not installed; pip install 'no-such-lib>=2'" in fault


def test_fulfilled_requirements_are_said_to_be(installed):
    installed("toylib", "2.1rc1")
    section = doctor.clashes([installed("mt-toy", "1.2.3", "toylib>=2")])
    assert section.lines == ["all fulfilled"]
    assert section.faults == []


def test_a_requirement_that_cannot_be_read_is_a_fault(installed):
    (fault,) = doctor.clashes([installed("mt-toy", "1.2.3", "toylib >>= 2")]).faults
    assert "mt-toy 1.2.3: a requirement cannot be read" in fault


def test_metadata_that_cannot_be_read_hinder_nothing(healthy, tmp_path, monkeypatch, succeed):
    info = tmp_path / "mt_junk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert succeed("doctor").splitlines()[-1] == "no fault found"


# ---- how it is run


def test_devices_are_those_that_torch_sees():
    lines = doctor.devices(HEALTHY).lines
    assert "cuda:0: A Large GPU" in lines
    assert "torch is built for GPUs, 12.8" in lines


def test_a_torch_for_gpus_that_sees_none_says_so():
    probe = Probe({"torch": TORCH | {"devices": []}}, {})
    assert "torch sees no GPU" in doctor.devices(probe).lines


@pytest.mark.parametrize(
    ("wish", "num_faults"), [(None, 0), ("1", 0), ("1000000", 1), ("0", 1), ("many", 1)]
)
def test_threads_that_cannot_be_are_a_fault(wish, num_faults):
    environment = {} if wish is None else {"OMP_NUM_THREADS": wish}
    section = doctor.threads(environment, HEALTHY)
    assert len(section.faults) == num_faults
    assert section.lines == [f"OMP_NUM_THREADS {wish or 'is not set'}", "torch takes 2"]
    assert all("export OMP_NUM_THREADS=" in fault for fault in section.faults)


@pytest.mark.parametrize(
    ("environment", "lines", "num_faults"),
    [
        ({}, ["none"], 0),
        ({"WORLD_SIZE": "4", "RANK": "1"}, ["torchrun: WORLD_SIZE=4, RANK=1"], 1),
        ({"WORLD_SIZE": "1", "RANK": "0"}, ["torchrun: WORLD_SIZE=1, RANK=0"], 0),
        (
            {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_NODELIST": "secret"},
            ["SLURM: SLURM_NTASKS=4, SLURM_PROCID=0"],
            0,
        ),
        ({"SLURM_STEP_NUM_TASKS": "4"}, ["SLURM: SLURM_STEP_NUM_TASKS=4"], 1),
    ],
)
def test_a_launcher_of_several_processes_is_a_fault(environment, lines, num_faults):
    section = doctor.launcher(environment)
    assert section.lines == lines
    assert len(section.faults) == num_faults


def write_command(folder: Path) -> Path:
    folder.mkdir()
    file = folder / "mt"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_another_mt_first_on_the_path_is_a_fault(tmp_path, monkeypatch):
    tape, own = write_command(tmp_path / "tape"), write_command(tmp_path / "own")
    monkeypatch.setattr(doctor, "_own_command", lambda: own)
    monkeypatch.setenv("PATH", f"{tape.parent}{os.pathsep}{own.parent}")
    (fault,) = doctor.command().faults
    assert str(tape) in fault
    assert "python -m mt_core" in fault
    monkeypatch.setenv("PATH", f"{own.parent}{os.pathsep}{tape.parent}")
    assert doctor.command().faults == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "python -m mt_core" in doctor.command().lines[0]


def test_the_own_command_is_that_of_this_environment():
    assert doctor._own_command().resolve().parent == Path(sys.executable).parent.resolve()


# ---- what is kept


def test_no_folder_and_no_user_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(doctor.getpass, "getuser", lambda: "alice")
    text = f"{tmp_path}/home/x.py {sys.prefix}/lib /scratch/alice/y.py /scratch/alicent malice"
    shown = doctor.anonymous(text)
    assert shown == "~/x.py ENVIRONMENT/lib /scratch/USER/y.py /scratch/alicent malice"


def test_the_report_has_no_folder_in_it(healthy, mt, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    broken = ArchitectureEntry("bad", "mt-bad", "1", "mt_bad", error=f"{tmp_path}/a.yaml is empty")
    monkeypatch.setattr(doctor, "installed", lambda: {"bad": broken})
    said = mt("doctor").out
    assert "bad is broken: ~/a.yaml is empty" in said
    assert str(tmp_path) not in said
