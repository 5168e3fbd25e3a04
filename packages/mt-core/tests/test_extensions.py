"""Compiled extensions of a model: a folder of them is written, named, found again and explained.

The extension here is a file that is taken for a library which torch has loaded; the suite of mt-gap
has real ones.
"""

import re
import shlex
import site
import zipfile
from pathlib import Path

import ase.io
import pytest
import torch

from mt_core.training.summary import usage_lines
from mt_shared.contract import DatasetInfo, TargetInfo

LIBRARY = "fake/torch-9.9/lib/libfake_extension.so"
EPOCH = ("-r", "architecture.training.num_epochs=1")


@pytest.fixture
def installed(tmp_path_factory, monkeypatch) -> Path:
    """The installed library of an extension, which an architecture has loaded."""
    packages = tmp_path_factory.mktemp("site-packages")
    path = packages / LIBRARY
    path.parent.mkdir(parents=True)
    path.write_bytes(b"native code")
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(packages)])
    monkeypatch.setattr(torch.ops, "loaded_libraries", {*torch.ops.loaded_libraries, str(path)})
    return path


@pytest.fixture
def trained(workspace, installed, succeed) -> str:
    """What a training of a model with extensions says; its files are in this folder."""
    return succeed("train", "options.yaml", *EPOCH)


def line_for_ase(shown: str) -> str:
    return re.search(r"in ASE: +(.*)", shown)[1]


def test_a_training_writes_the_folder_and_names_it_in_each_line(trained, run_folder):
    for folder in (Path(), run_folder()):
        assert (folder / "extensions" / LIBRARY).read_bytes() == b"native code"
    assert 'MetatomicCalculator("model.pt", extensions_directory="extensions")' in trained
    assert "template=start.xyz,model=model.pt,extensions=extensions\n" in trained
    assert "pair_style metatomic model.pt extensions extensions\n" in trained
    torch_minor = ".".join(torch.__version__.split(".")[:2])
    assert f"They fit torch {torch_minor} on " in trained
    assert "mt export model.ckpt" in trained


def test_the_folder_is_beside_the_model_or_where_e_says(trained, succeed):
    said = succeed("export model.ckpt -o models/again.pt")
    assert "extensions in the folder 'models/extensions'" in said
    assert (Path("models/extensions") / LIBRARY).is_file()
    said = succeed("export model.ckpt -o models/again.pt -e libraries")
    assert "extensions in the folder 'libraries'" in said
    assert (Path("libraries") / LIBRARY).is_file()


def test_what_else_is_in_the_folder_stays(trained, succeed, installed):
    Path("extensions/notes.txt").write_text("mine")
    before = (Path("extensions") / LIBRARY).stat()
    assert "was there before" not in succeed("export model.ckpt -o again.pt")
    assert (Path("extensions") / LIBRARY).stat() == before
    installed.write_bytes(b"a later version")
    said = succeed("export model.ckpt -o third.pt")
    assert "it is now extensions/fake/torch-9.9/lib/libfake_extension.1.so" in said
    assert (Path("extensions") / LIBRARY).read_bytes() == b"a later version"
    assert Path("extensions/notes.txt").read_text() == "mine"


def test_a_model_of_plain_torch_needs_no_folder(finished, succeed):
    assert "extensions" not in succeed("export model.ckpt -o again.pt")
    assert not Path("extensions").exists()


@pytest.mark.parametrize("command", ["train options.yaml", "export model.ckpt -o again.pt"])
def test_a_folder_that_cannot_be_is_refused_before_any_work(finished, refuse, command):
    error = refuse(f"{command} -e ethanol.xyz")
    assert "-e ethanol.xyz: there cannot be a folder of extensions" in error
    assert len(list(Path("outputs").glob("*/*"))) == 1


def test_a_file_in_the_place_of_the_folder_costs_no_model(workspace, installed, refuse, run_folder):
    Path("extensions").write_text("mine")
    error = refuse("train", "options.yaml", *EPOCH)
    assert "cannot write the extensions of the model to 'extensions'" in error
    assert "name another folder with -e" in error
    assert Path("extensions").read_text() == "mine"
    assert (run_folder() / "model.pt").is_file()


def test_a_dry_run_says_what_the_models_need(workspace, installed, succeed):
    said = succeed("train options.yaml --dry-run")
    assert "needs compiled extensions (libfake_extension.so)" in said
    assert not Path("extensions").exists()


def test_an_evaluation_finds_the_folder_beside_the_model(trained, succeed):
    Path("elsewhere").mkdir()
    for name in ("model.pt", "extensions"):
        Path(name).rename(Path("elsewhere", name))
    assert "40 structures evaluated" in succeed("eval elsewhere/model.pt eval.yaml")


@pytest.fixture
def foreign_process(monkeypatch):
    """As if torch knew nothing of the extension."""

    def fails(path, extensions_directory):
        raise RuntimeError(f"failed to load the model at '{path}'. This is likely due to missing")

    monkeypatch.setattr("mt_core.evaluation.models.load_atomistic_model", fails)


@pytest.mark.parametrize("flags", ["", " -e nowhere"])
def test_what_is_missing_is_named_with_the_way_out(trained, foreign_process, refuse, flags):
    Path("extensions").rename("moved")
    error = refuse(f"eval model.pt eval.yaml{flags}")
    folder = "nowhere" if flags else "extensions"
    assert f"libfake_extension.so), and there is no folder '{folder}'" in error
    assert "name it with -e" in error and "mt export" in error
    (Path("moved") / LIBRARY).unlink()
    error = refuse("eval model.pt eval.yaml -e moved")
    assert f"and 'moved' lacks {LIBRARY}" in error


def exported_with(changes: dict[str, str], model: str = "model.pt") -> None:
    """Change what an exported file says of where it was made."""
    with zipfile.ZipFile(model) as archive:
        members = {each: archive.read(each) for each in archive.infolist()}
    with zipfile.ZipFile(model, "w") as archive:
        for member, content in members.items():
            name = member.filename.partition("/extra/")[2]
            archive.writestr(member, changes.get(name, content))


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        ({"torch-version": "2.3.1+cu121"}, "torch 2.3 on "),
        ({"export-metadata": '{"platform": "arm64-Darwin"}'}, " on arm64-Darwin, and this is"),
    ],
)
def test_extensions_of_another_torch_or_machine_are_refused_by_it(trained, refuse, changes, made):
    exported_with(changes)
    error = refuse("eval model.pt eval.yaml")
    assert "built for" in error and made in error
    assert "export it again here, from its checkpoint: mt export" in error


def test_a_model_of_plain_torch_goes_from_one_version_to_another(finished, succeed):
    exported_with({"torch-version": "2.3.1"})
    assert "40 structures evaluated" in succeed("eval model.pt eval.yaml")


def test_a_library_of_no_package_is_told_by_its_path(
    workspace, installed, succeed, monkeypatch, tmp_path_factory
):
    own = tmp_path_factory.mktemp("build") / "libown.so"
    own.write_bytes(b"my own code")
    monkeypatch.setattr(torch.ops, "loaded_libraries", {*torch.ops.loaded_libraries, str(own)})
    said = succeed("train", "options.yaml", *EPOCH)
    assert f"the model needs {own}, which is no part of an installed package" in said


# ---- the lines as they are printed


INFO = DatasetInfo("angstrom", (1, 6, 8), {"energy": TargetInfo("energy", "eV")})
NAMES = ["my models/it's a model.pt", 'a "b" $c;d&e#1.pt']


@pytest.fixture(params=NAMES)
def named(request, finished, succeed):
    """A model under a name, and the lines about it."""
    name = request.param
    succeed("export", "model.ckpt", "-o", name)
    return name, usage_lines(Path(name), INFO, None)


def test_the_lines_run_with_whatever_name_the_model_has(named):
    from ipi.pes.metatomic import MetatomicDriver
    from ipi.utils.io.inputs import read_args_kwargs

    name, shown = named
    atoms = ase.io.read("ethanol.xyz")
    exec(line_for_ase(shown), {"atoms": atoms})
    assert atoms.get_forces().shape == (9, 3)

    words = shlex.split(re.search(r"in i-PI: +(.*)", shown)[1])
    assert words[:4] == ["i-pi-py_driver", "-m", "metatomic", "-o"]
    assert len(words) == 5
    _, options = read_args_kwargs(words[4])
    assert options == {"template": "start.xyz", "model": name}
    ase.io.write("start.xyz", atoms)
    # loads the model
    MetatomicDriver(**options)

    lammps = shlex.split(re.search(r"in LAMMPS: +(.*)", shown)[1])
    assert lammps == ["pair_style", "metatomic", name]


def test_a_name_that_i_pi_would_divide_is_no_line_for_it():
    assert "i-PI" not in usage_lines(Path("a,b.pt"), INFO, None)
    assert "i-PI" not in usage_lines(Path("a.pt"), INFO, Path("x,y"))


def test_each_engine_is_told_the_variant(workspace, succeed):
    from ipi.pes.metatomic import MetatomicDriver
    from ipi.utils.io.inputs import read_args_kwargs

    text = Path("options.yaml").read_text()
    Path("options.yaml").write_text(text.replace("energy: {", "energy/xtb: {key: energy, "))
    shown = succeed("train", "options.yaml", *EPOCH)
    atoms = ase.io.read("ethanol.xyz")
    exec(line_for_ase(shown), {"atoms": atoms})
    ase.io.write("start.xyz", atoms)
    _, options = read_args_kwargs(re.search(r"in i-PI: .* -o (\S+)", shown)[1])
    assert MetatomicDriver(**options).energy_suffix == "/xtb"
    assert "pair_style metatomic model.pt variant xtb\n" in shown


def test_a_model_that_simulations_cannot_run_is_evaluated_by_the_line_that_says_so(
    workspace, succeed
):
    text = Path("options.yaml").read_text()
    text = text.replace("energy: {unit: eV, forces: true}", "mtt::U: {key: energy, unit: eV}")
    Path("options.yaml").write_text(text)
    Path("eval.yaml").write_text("systems: ethanol.xyz\n")
    shown = succeed("train", "options.yaml", *EPOCH, "-o", "my model.pt")
    words = shlex.split(re.search(r"To predict with it: mt (.*)", shown)[1])
    assert "predictions are in predictions.xyz" in succeed(*words)
