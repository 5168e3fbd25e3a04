"""The workflows: what can be known of them without running them."""

import re
import subprocess
import sys

import pytest
import yaml

from distributions import ROOT

FOLDER = ROOT / ".github/workflows"
FILES = sorted(FOLDER.glob("*.yml"))
PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
each_workflow = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def jobs(file):
    return yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"]


def commands(file):
    return [step["run"] for job in jobs(file).values() for step in job["steps"] if "run" in step]


def test_the_four_workflows_are_there():
    expected = ["architectures", "checks", "compatibility", "release"]
    assert [file.stem for file in FILES] == expected


def test_they_are_workflows_as_their_schema_says():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    done = subprocess.run(
        [*command, "vendor.github-workflows", *FILES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@each_workflow
def test_every_action_is_pinned_by_its_full_hash_with_its_version_beside(file):
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if "uses:" in line]
    wrong = [line for line in lines if not PINNED.search(line)]
    assert lines
    assert not wrong, "a tag can be moved to other code: pin the commit, name the version after #"


def test_an_action_has_the_same_version_everywhere():
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    pins = {tuple(each.split("@")) for each in re.findall(r"uses: (.+)", text)}
    assert len(pins) == len({action for action, _ in pins}), pins


@each_workflow
def test_a_step_is_one_command_that_can_be_run_elsewhere_too(file):
    wrong = [each for each in commands(file) if "\n" in each or re.search(r"&&|;|\|", each)]
    assert not wrong, "put it into a script of scripts/ or into hatch.toml, where it has a test"


@each_workflow
def test_no_command_is_made_of_what_a_stranger_wrote(file):
    wrong = [each for each in commands(file) if "${{" in each]
    assert not wrong, "the name of a branch can be a command: hand it over in env"


@each_workflow
def test_every_script_that_is_called_is_there(file):
    scripts = re.findall(r"python (\S+\.py)", "\n".join(commands(file)))
    assert [path for path in scripts if not (ROOT / path).exists()] == []


@each_workflow
def test_every_command_of_hatch_is_there(file):
    text = (ROOT / "hatch.toml").read_text(encoding="utf-8")
    for command in re.findall(r"hatch run (.+)", "\n".join(commands(file))):
        script = command.split()[0].strip('"').split(":")[-1]
        assert re.search(rf"^{script} = ", text, re.MULTILINE), command


@each_workflow
def test_a_workflow_may_read_only_and_its_jobs_end(file):
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_the_job_that_publishes_does_nothing_else():
    release = jobs(FOLDER / "release.yml")
    allowed = {name for file in FILES for name, job in jobs(file).items() if "permissions" in job}
    assert allowed == {"publish"}
    publish = release["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    assert publish["needs"] == [name for name in release if name != "publish"]
    assert not any("run" in step for step in publish["steps"])
    actions = [step["uses"].split("@")[0] for step in publish["steps"]]
    assert actions == ["actions/download-artifact", "pypa/gh-action-pypi-publish"]


@pytest.mark.parametrize(
    ("workflow", "job"), [("architectures", "conformance"), ("compatibility", "suite")]
)
def test_an_experimental_or_deprecated_architecture_does_not_block(workflow, job):
    suite = jobs(FOLDER / f"{workflow}.yml")[job]
    assert suite["continue-on-error"] == "${{ !matrix.architecture.blocks }}"


def test_released_architectures_are_tried_with_the_suite_of_the_same_commit():
    """The released suite may not admit a new mt-core, and then nothing can be installed."""
    steps = [step.get("run") for step in jobs(FOLDER / "release.yml")["released"]["steps"]]
    assert "python scripts/releases/build_wheels.py mt-core mt-conformance --out dist" in steps


SCRIPTS = {*re.findall(r"scripts/releases/(\w+)\.py", str([commands(file) for file in FILES]))}


@pytest.mark.parametrize("script", sorted(SCRIPTS | {"floors", "release"}))
def test_a_script_says_what_it_does(script):
    done = subprocess.run(
        [sys.executable, ROOT / f"scripts/releases/{script}.py", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "usage" in done.stdout
