"""``mt conformance``: how it runs the suite. The suite itself is another package's."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mt_core.architectures import conformance
from mt_core.cli import commands as cli

SUITE = Path("/somewhere/mt_conformance")


@pytest.fixture
def status(monkeypatch):
    """Runs the command line with a suite of one test, given as text, and returns the status."""

    def run(test: str, *options: str) -> int:
        seen = []

        def run_instead(arguments: list[str]) -> int:
            seen.extend(arguments)
            return subprocess.run([sys.executable, "-c", test], check=False).returncode

        monkeypatch.setattr(conformance, "run_pytest", run_instead)
        found = SimpleNamespace(submodule_search_locations=[str(SUITE)])
        monkeypatch.setattr(conformance, "find_spec", lambda name: found)
        left = cli.main(["conformance", "soap_bpnn", *options])
        assert seen[:4] == [sys.executable, "-m", "pytest", str(SUITE)]
        return left

    return run


@pytest.mark.parametrize("expected", [0, 1, 5])
def test_the_status_is_that_of_pytest(status, expected):
    assert status(f"raise SystemExit({expected})") == expected


def test_the_suite_runs_for_one_architecture_with_its_own_settings():
    command = conformance.pytest_command("soap_bpnn", ["-k", "outputs"], SUITE)
    text = " ".join(command)
    assert f"pytest {SUITE} --architecture soap_bpnn" in text
    assert f"-c {SUITE / 'pytest.ini'} --rootdir {SUITE}" in text
    assert command[-2:] == ["-k", "outputs"]


@pytest.mark.parametrize("options", [["-n", "7"], ["-n7"], ["--numprocesses=7"], ["--pdb"]])
def test_the_user_chooses_the_workers(options):
    assert "2" not in conformance.pytest_command("soap_bpnn", options, SUITE)


@pytest.mark.parametrize(("cores", "workers"), [(1, []), (2, ["-n", "2"]), (64, ["-n", "2"])])
def test_there_are_two_workers_by_default(monkeypatch, cores, workers):
    monkeypatch.setattr(conformance, "allowed_threads", lambda: cores)
    command = conformance.pytest_command("soap_bpnn", ["-x"], SUITE)
    assert command[-1 - len(workers) :] == [*workers, "-x"]


def test_the_quick_tier_is_run_in_one_process(monkeypatch):
    monkeypatch.setattr(conformance, "allowed_threads", lambda: 64)
    command = conformance.pytest_command("soap_bpnn", ["-x"], SUITE, quick=True)
    assert command[-2:] == ["--conformance-quick", "-x"] and "-n" not in command


@pytest.mark.parametrize(
    "options", [["--quick", "--", "-k", "outputs"], ["--", "-k", "outputs"], ["--quick"], []]
)
def test_options_of_pytest_follow_those_of_mt(monkeypatch, options):
    seen = []

    def run_instead(arguments: list[str]) -> int:
        seen.extend(arguments)
        return 0

    monkeypatch.setattr(conformance, "run_pytest", run_instead)
    assert cli.main(["conformance", "soap_bpnn", *options]) == 0
    assert ("--conformance-quick" in seen) == ("--quick" in options)
    assert ("outputs" in seen) == ("outputs" in options)
    assert "--" not in seen


def test_each_worker_has_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    code = "import os, sys; sys.exit(int(os.environ['OMP_NUM_THREADS']))"
    assert conformance.run_pytest([sys.executable, "-c", code]) == 1


@pytest.fixture
def small_suite(tmp_path) -> Path:
    """A suite of one test, which passes."""
    folder = tmp_path / "small_suite"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "test_one.py").write_text("def test_one(): pass\n", encoding="utf-8")
    (folder / "conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--architecture')\n", encoding="utf-8"
    )
    return folder


@pytest.mark.parametrize("foreign", [".", ".."])
def test_a_foreign_conftest_is_not_read(monkeypatch, tmp_path, small_suite, foreign):
    here = tmp_path / "above" / "here"
    here.mkdir(parents=True)
    (here / foreign / "conftest.py").write_text("raise ValueError\n", encoding="utf-8")
    monkeypatch.chdir(here)
    monkeypatch.setattr(conformance, "allowed_threads", lambda: 1)
    options = ["-p", "no:mt_conformance", "--junitxml=results.xml"]
    assert (
        conformance.run_pytest(conformance.pytest_command("soap_bpnn", options, small_suite)) == 0
    )
    assert (here / "results.xml").is_file(), "paths of the user are those of the user's folder"


def test_sigterm_ends_the_suite_too():
    child = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "try:\n"
        "    os.kill(os.getppid(), signal.SIGTERM)\n"
        "    time.sleep(1800)\n"
        "except KeyboardInterrupt:\n"
        "    print('told to end')\n"
    )
    code = (
        "import sys; from mt_core.architectures import conformance; "
        f"sys.exit(conformance.run_pytest([sys.executable, '-c', {child!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=1700
    )
    assert (done.returncode, done.stdout) == (143, "told to end\n"), done.stderr


def test_an_architecture_that_is_not_installed_is_refused(capsys):
    assert cli.main(["conformance", "soap_bpn"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: the architecture 'soap_bpn' is not installed")
    assert "soap_bpnn" in said


def test_without_the_suite_it_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr(conformance, "SUITE", "mt_conformance_that_nobody_has")
    assert cli.main(["conformance", "soap_bpnn"]) == 1
    assert "pip install mt-conformance" in capsys.readouterr().err


def test_the_command_itself_imports_no_torch():
    code = (
        "import sys; import mt_core.architectures.conformance; from mt_core.cli import commands; "
        "commands.make_parser(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
