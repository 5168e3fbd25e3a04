"""``mt new``: packages that work as they are, and names and folders that are refused."""

import errno
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mt_core.architectures import new_package
from mt_core.architectures.new_package import create
from mt_shared.registry import load

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]
COMMON = """
.gitignore CHANGELOG.md LICENSE README.md changes/+first.added.md pyproject.toml
src/mt_my_net/__about__.py src/mt_my_net/__init__.py src/mt_my_net/capabilities.yaml
src/mt_my_net/conformance.py src/mt_my_net/default-hypers.yaml src/mt_my_net/model.py
src/mt_my_net/py.typed src/mt_my_net/schema-hypers.json tests/test_model.py
""".split()
FILES = {False: {*COMMON, "src/mt_my_net/trainer.py"}, True: {*COMMON}}
# of the template, of which nothing may be left
PLACEHOLDERS = ("my_network", "my-network", "MyNetwork", "YEAR")
# names whose classes could be taken for those that the files import
NAMES = {False: "graph", True: "mlip"}

both_forms = pytest.mark.parametrize("mlip", [False, True], ids=["general", "mlip"])


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def install(write_distribution, on_path):
    """Make a package known to the registry, as an editable installation does."""

    def put_on_path(package: Path, name: str) -> None:
        entry_points = f"[mt.architectures]\n{name} = mt_{name}\n"
        write_distribution(package / "src", f"mt-{name}", entry_points)
        on_path(package / "src")

    return put_on_path


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# ---- what is written


@both_forms
def test_a_package_has_all_its_files_and_nothing_of_the_template(here, mlip):
    written = create("my_net", mlip=mlip)
    assert files(Path("mt-my-net")) == FILES[mlip]
    assert {path.relative_to("mt-my-net").as_posix() for path in written} == FILES[mlip]
    for path in written:
        text = f"{path}\n{path.read_text(encoding='utf-8')}"
        assert not [word for word in PLACEHOLDERS if word in text], path


def test_the_command_names_the_files_and_says_what_is_next(here, succeed):
    shown = succeed("new", "my_net", "--folder", "work/my net")
    listed = set(shown.splitlines())
    assert {f"work/my net/{path}" for path in FILES[False]} <= listed
    assert "pip install -e 'work/my net'" in shown
    assert "mt conformance my_net" in shown
    assert "idea goes into work/my net/src/mt_my_net/model.py" in shown


def test_the_command_writes_the_short_form(here, succeed):
    succeed("new", "my_net", "--mlip")
    assert "MLIPModel" in Path("mt-my-net/src/mt_my_net/model.py").read_text()


def test_writing_a_package_imports_no_torch(here):
    code = (
        "import sys; from mt_core.cli.commands import main; assert main(['new', 'my_net']) == 0; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert files(Path("mt-my-net")) == FILES[False]


def test_an_empty_folder_is_filled(here):
    create("my_net", ".")
    assert files(here) == FILES[False]


@both_forms
def test_a_package_is_clean_by_the_rules_of_this_repository(here, mlip):
    create("my_net", "packages/mt-my-net", mlip)
    for command in ("check", "format --check"):
        ruff = [sys.executable, "-m", "ruff", *command.split(), "--no-cache"]
        done = subprocess.run(
            [*ruff, "--config", ROOT / "pyproject.toml", "."],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def requirements(package: Path) -> dict[str, Requirement]:
    text = (package / "pyproject.toml").read_text(encoding="utf-8")
    lines = tomllib.loads(text)["project"]["dependencies"]
    return {each.name: each for each in map(Requirement, lines)}


def test_what_is_installed_is_admitted(here):
    create("my_net")
    found = requirements(here / "mt-my-net")
    assert set(found) == {"metatensor-torch", "metatomic-torch", "mt-shared", "torch"}
    for name, requirement in found.items():
        assert version(name).split("+")[0] in requirement.specifier, requirement
        assert ">=" in {each.operator for each in requirement.specifier}


@pytest.mark.parametrize(
    ("release", "expected"),
    [("0.3.4", ">=0.3,<0.4"), ("1.0.0", ">=1.0,<2"), ("2.11.1", ">=2.11,<3")],
)
def test_the_next_version_that_may_break_is_shut_out(here, monkeypatch, release, expected):
    monkeypatch.setattr(new_package, "version", lambda name: release)
    create("my_net")
    line = next(
        line
        for line in Path("mt-my-net/pyproject.toml").read_text().splitlines()
        if "mt-shared" in line
    )
    assert line.strip() == f'"mt-shared{expected}",'


@both_forms
def test_a_package_trains_evaluates_and_is_loaded(workspace, succeed, install, mlip):
    name = NAMES[mlip]
    create(name, mlip=mlip)
    install(workspace / f"mt-{name}", name)
    options = Path("options.yaml").read_text()
    start, end = options.index("  name:"), options.index("  training:")
    small = f"  name: {name}\n  model: {{cutoff: 3.0, num_features: 8, num_radial: 6}}\n"
    Path("options.yaml").write_text(options[:start] + small + options[end:])
    succeed("train", "options.yaml")
    assert "forces" in succeed("eval", "model.pt", "eval.yaml")
    assert load(name).maintainers == [("Your Name <you@example.org>", "@you")]


# ---- what is refused


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("my-net", r"'my-net'.*small letters.*such as my_net"),
        ("My.Net", r"'My.Net'.*such as my_net"),
        ("mt-net", r"such as net"),
        ("2nd_net", r"beginning with a letter.*such as nd_net"),
        ("net_", r"joined by single underscores.*such as net"),
        ("my__net", r"joined by single underscores.*such as my_net"),
        ("../net", r"small letters.*such as net"),
        ("Ärger", r"small letters"),
        ("", r"''.*small letters"),
        ("lambda", r"'lambda'.*meaning.*choose another"),
        ("true", r"'true'.*meaning.*choose another"),
        ("shared", r"'shared'.*meaning.*choose another"),
        ("core", r"'core'.*meaning.*choose another"),
        ("conformance", r"'conformance'.*meaning.*choose another"),
        ("soap_bpnn", r"'soap_bpnn'.*of this project.*mt list"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(here, refuse, name, expected):
    message = refuse("new", name)
    assert re.search(expected, message), message
    assert not list(here.iterdir())


def test_an_installed_name_is_refused(workspace, refuse, install):
    create("graph")
    install(workspace / "mt-graph", "graph")
    message = refuse("new", "graph", "--folder", "other")
    assert "installed" in message
    assert "pip uninstall mt-graph" in message
    assert not Path("other").exists()


def test_a_module_that_is_there_without_an_entry_point_is_refused(here, refuse, monkeypatch):
    (here / "mt_my_net.py").touch()
    monkeypatch.syspath_prepend(here)
    assert "installed" in refuse("new", "my_net")


def test_a_folder_with_something_in_it_is_left_alone(here, refuse):
    Path("mt-my-net").mkdir()
    Path("mt-my-net/thesis.tex").write_text("mine")
    message = refuse("new", "my_net")
    assert "nothing was written, since mt-my-net" in message
    assert "--folder" in message
    assert files(here) == {"mt-my-net/thesis.tex"}


def test_a_file_in_the_place_of_the_folder_is_left_alone(here, refuse):
    Path("mt-my-net").write_text("mine")
    assert "nothing was written" in refuse("new", "my_net")
    assert Path("mt-my-net").read_text() == "mine"


def test_a_folder_below_a_file_is_refused(here, refuse):
    Path("file").write_text("mine")
    assert "file/mt-my-net" in refuse("new", "my_net", "--folder", "file/mt-my-net")


def test_a_folder_without_the_right_to_write_is_an_error(here, refuse, monkeypatch):
    def forbid(self, *arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", forbid)
    message = refuse("new", "my_net")
    assert "no right" in message
    assert "mt-my-net" in message


@pytest.mark.parametrize("there", [False, True], ids=["new folder", "empty folder"])
def test_a_disk_that_is_full_leaves_nothing_half_written(here, refuse, monkeypatch, there):
    if there:
        Path("mt-my-net").mkdir()
    write, written = Path.write_text, []

    def fill_up(self, *arguments, **options):
        written.append(self)
        if len(written) == 8:
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return write(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", fill_up)
    assert "no space is left" in refuse("new", "my_net")
    assert list(here.rglob("*")) == ([here / "mt-my-net"] if there else [])
