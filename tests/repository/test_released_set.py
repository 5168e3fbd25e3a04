"""The last released versions that a release of what stands below is tried with."""

import json
import shutil

import pytest

from build_wheels import build
from distributions import BY_NAME, ROOT
from prove_wheels import in_folder, lowest, what_to_install

SOAP = BY_NAME["mt-soap-bpnn"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder in place of the index."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in ("mt-shared", "mt-soap-bpnn"):
        build(BY_NAME[name], folder, isolated=False)
    return folder


def released(repository, *arguments):
    done = repository.run("released_set", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def break_mt_shared(repository):
    repository.write("shared/changes/+new.changed.md", "Other names.\n")
    repository.commit()
    repository.release("mt-shared", "minor")


def test_the_newest_tag_of_each_stable_architecture_counts(repository):
    for name in ("mt-shared", "mt-soap-bpnn", "mt-painn"):
        repository.release(name, "minor")
    repository.write("packages/mt-soap-bpnn/changes/+more.added.md", "More.\n")
    repository.commit()
    repository.release("mt-soap-bpnn", "patch")
    jobs, said = released(repository, "mt-shared")
    assert jobs == [{"architecture": "soap_bpnn", "requirement": "mt-soap-bpnn==0.1.1"}]
    assert not said


def test_before_the_first_release_there_is_none(repository):
    assert released(repository, "mt-core") == ([], "")


def test_what_does_not_admit_the_new_version_is_left_out_and_named(repository):
    repository.release("mt-shared", "minor")
    repository.release("mt-soap-bpnn", "minor")
    break_mt_shared(repository)
    jobs, said = released(repository, "mt-shared")
    assert jobs == []
    assert "left out: mt-soap-bpnn 0.1.0 does not admit mt-shared 0.2.0" in said


def test_what_wants_another_mt_shared_than_the_new_mt_core_is_left_out_and_named(repository):
    for name in ("mt-shared", "mt-soap-bpnn"):
        repository.release(name, "minor")
    assert len(released(repository, "mt-core")[0]) == 1
    break_mt_shared(repository)
    repository.release("mt-core", "minor")
    jobs, said = released(repository, "mt-core")
    assert jobs == []
    assert (
        "left out: mt-soap-bpnn 0.1.0 requires mt-shared<0.2,>=0.1, and mt-core 0.1.0 requires "
        "mt-shared<0.3,>=0.2.0"
    ) in said
    repository.release("mt-soap-bpnn", "minor")
    jobs, said = released(repository, "mt-core")
    assert [each["requirement"] for each in jobs] == ["mt-soap-bpnn==0.2.0"]
    assert not said


def test_an_older_mt_shared_that_both_admit_will_do(repository):
    for name in ("mt-shared", "mt-soap-bpnn"):
        repository.release(name, "minor")
    break_mt_shared(repository)
    for folder in ("packages/mt-core", "tests"):
        old = "mt-shared>=0.2.0,<0.3"
        repository.replace(f"{folder}/pyproject.toml", old, "mt-shared>=0.1,<0.3")
    jobs, said = released(repository, "mt-core")
    assert [each["requirement"] for each in jobs] == ["mt-soap-bpnn==0.1.0"]
    assert not said


def test_the_wheels_of_the_folder_say_what_they_want_of_mt_shared(repository, wheels):
    repository.release("mt-shared", "minor")
    break_mt_shared(repository)
    jobs, said = released(repository, "mt-core", "--wheels", str(wheels))
    assert jobs == []
    assert "requires mt-shared<0.2,>=0.1, and mt-core" in said


def test_a_folder_of_wheels_takes_the_place_of_the_tags(repository, wheels):
    jobs, _ = released(repository, "mt-shared", "--wheels", str(wheels))
    expected = f"mt-soap-bpnn=={SOAP.version}"
    assert jobs == [{"architecture": "soap_bpnn", "requirement": expected}]


def test_of_several_wheels_the_newest_version_counts(repository, wheels, tmp_path):
    file = in_folder(wheels)["mt-soap-bpnn"]
    for version in ("0.0.9", "0.0.10"):
        shutil.copy(file, tmp_path / file.name.replace(SOAP.version, version))
    jobs, _ = released(repository, "mt-shared", "--wheels", str(tmp_path))
    assert [each["requirement"] for each in jobs] == ["mt-soap-bpnn==0.0.10"]


def test_a_range_is_read_off_the_wheel_too(repository, wheels):
    repository.release("mt-shared", "minor")
    break_mt_shared(repository)
    jobs, said = released(repository, "mt-shared", "--wheels", str(wheels))
    assert jobs == []
    assert "does not admit mt-shared 0.2.0" in said


def test_an_output_of_a_workflow_has_its_key(repository):
    done = repository.run("released_set", "mt-shared", "--output", "released")
    assert done.stdout == "released=[]\n"


def test_a_folder_that_is_not_there_is_refused(repository):
    done = repository.run("released_set", "mt-shared", "--wheels", "nowhere")
    assert done.returncode == 1
    assert "--wheels nowhere: there is no such folder" in done.stderr


def test_wheels_are_built_once(wheels):
    (file,) = wheels.glob("mt_shared-*.whl")
    before = file.stat().st_mtime_ns
    assert build(BY_NAME["mt-shared"], wheels) == file
    assert file.stat().st_mtime_ns == before


def test_the_wheels_of_the_folder_are_installed_and_the_rest_by_name(wheels):
    files = in_folder(wheels)
    assert what_to_install(SOAP, wheels, None) == [
        str(files["mt-shared"]),
        str(files["mt-soap-bpnn"]),
        "mt-core",
        "mt-conformance",
    ]


def test_a_released_version_is_installed_in_place_of_the_one_beside(wheels, tmp_path):
    shutil.copy(in_folder(wheels)["mt-shared"], tmp_path)
    wanted = what_to_install(SOAP, tmp_path, "mt-soap-bpnn==0.1.0")
    assert wanted[1:] == ["mt-core", "mt-conformance", "mt-soap-bpnn==0.1.0"]


def test_at_the_lowest_versions_a_sibling_of_the_index_is_at_its_floor(wheels, tmp_path):
    shutil.copy(in_folder(wheels)["mt-soap-bpnn"], tmp_path)
    assert "mt-shared==0.1" in lowest(SOAP, tmp_path)
    assert not [line for line in lowest(SOAP, wheels) if line.startswith("mt-")]
    assert "torch==2.6" in lowest(SOAP, wheels)


@pytest.mark.parametrize(
    ("name", "message"),
    [("mt-core", "mt-core has no architecture"), ("soap_bpnn", "no wheel of mt-shared, mt-core")],
)
def test_what_cannot_be_proved_is_refused(repository, name, message):
    done = repository.run("prove_wheels", name, "--wheels", str(ROOT / "scripts"))
    assert done.returncode == 1
    assert message in done.stderr
