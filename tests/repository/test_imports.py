"""Who may import whom: the tables of ARCHITECTURE.md, read off the source.

Folders, not files: a new file obeys the rules of the folder that it stands in.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from distributions import BY_NAME, DISTRIBUTIONS, ROOT, Distribution, Import, examples, imports

ARCHITECTURES = [each for each in DISTRIBUTIONS if each.architectures]
BY_MODULE = {each.module: each for each in DISTRIBUTIONS}
# the module of a distribution, where its name does not tell and it may not be installed here
MODULES = {"pyyaml": "yaml"}
BROUGHT_BY = {
    module: {name.lower() for name in names} for module, names in packages_distributions().items()
}
# the parts of a package, lowest first: each may import those before it; a name without a folder is
# a module at the top
FLOORS = {
    "mt_shared": (
        *("errors", "tables", "threads", "user_files", "entry_points", "options", "registry"),
        *("contract", "data", "model", "engine", "mlip"),
    ),
    "mt_core": (
        *("examples", "console", "options", "architectures", "doctor"),
        *("loading", "evaluation", "training", "cli"),
    ),
    "mt_conformance": (
        "providing",
        "quick",
        "plugin",
        "inputs",
        "runs",
        "regression",
        "tests",
        "conftest",
    ),
}
# of every package, above and below all floors
TOP, BOTTOM = {"__init__", "__main__"}, {"__about__"}
# what `mt list`, `describe`, `new`, `doctor` load; nothing heavy is imported when these are
QUICK = {
    "mt_shared": {
        "errors",
        "tables",
        "threads",
        "user_files",
        "entry_points",
        "options",
        "registry",
    },
    "mt_core": {"cli", "console", "options", "architectures", "doctor", "examples"},
    # every pytest loads the plugin, whatever it tests
    "mt_conformance": {"plugin", "providing"},
}
HEAVY = {"torch", "metatensor", "metatomic", "metatomic_ase", "vesin", "ase", "numpy", "scipy"}


def root(module: str) -> str:
    return module.split(".")[0]


def modules_of(distribution: str) -> set[str]:
    """The modules that a distribution brings: featomic is in featomic-torch."""
    name = distribution.lower()
    by_rule = {name.replace("-", "_"), name.removesuffix("-torch").replace("-", "_")}
    # dependencies of one architecture alone are not installed where these tests run
    installed = {module for module, owners in BROUGHT_BY.items() if name in owners}
    return {MODULES.get(name, name), *by_rule, *installed}


def part_of(file: Path, distribution: Distribution) -> str:
    """The folder, or the module at the top, that a file is of."""
    return file.relative_to(distribution.source).parts[0].removesuffix(".py")


def own_imports(package: str) -> Iterator[tuple[str, str, Import]]:
    """Of each import between two parts of a package: from which, to which, and where it stands."""
    distribution = BY_MODULE[package]
    for file in distribution.files():
        here = part_of(file, distribution)
        for each in imports(file):
            top, _, inside = each.module.partition(".")
            there = root(inside)
            if top == package and there not in {"", here} and there in floors_of(package):
                yield here, there, each


def floors_of(package: str) -> list[str]:
    return [*sorted(BOTTOM), *FLOORS[package], *sorted(TOP)]


@cache
def door(folder: Path) -> frozenset[str]:
    """The names that a folder's ``__init__`` imports."""
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return frozenset(alias.asname or alias.name for node in found for alias in node.names)


def of_project(distribution: Distribution) -> list[Import]:
    """The imports of other distributions of this repository."""
    found = [each for file in distribution.files() for each in imports(file)]
    return [each for each in found if root(each.module) in set(BY_MODULE) - {distribution.module}]


# ---- between distributions


@pytest.mark.parametrize("distribution", ARCHITECTURES, ids=lambda each: each.name)
def test_an_architecture_imports_mt_shared_and_nothing_else_of_ours(distribution):
    wrong = [each for each in of_project(distribution) if root(each.module) != "mt_shared"]
    assert not wrong, "an architecture stands alone: take it from mt_shared, or move it there"


@pytest.mark.parametrize("module", ["mt_core", "mt_conformance"])
def test_core_and_conformance_import_mt_shared_and_nothing_else_of_ours(module):
    wrong = [each for each in of_project(BY_MODULE[module]) if root(each.module) != "mt_shared"]
    assert not wrong, "architectures come from the registry, mt_core is run as a command"


def test_mt_shared_imports_nothing_else_of_ours():
    assert not of_project(BY_MODULE["mt_shared"]), "what stands below all knows none of them"


@pytest.mark.parametrize("module", FLOORS)
def test_no_architecture_is_named_in_shared_code(module):
    names = {name for each in ARCHITECTURES for name in each.architectures}
    wrong = [
        f"{file.name}:{node.lineno}"
        for file in BY_MODULE[module].files()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert not wrong, "shared code treats all architectures alike: ask for a capability instead"


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda each: each.name)
def test_what_is_imported_is_required(distribution):
    required = {module for each in distribution.requirements for module in modules_of(each.name)}
    allowed = {*required, *sys.stdlib_module_names, distribution.module}
    wrong = [
        each
        for file in distribution.files()
        for each in imports(file)
        if root(each.module) not in allowed
    ]
    assert not wrong, (
        f"add it to the dependencies in {distribution.path}/pyproject.toml; if it is there under "
        "another name, which is not known here unless it is installed, add that name to MODULES"
    )


# ---- between the folders of a package


@pytest.mark.parametrize("package", FLOORS)
def test_every_file_stands_in_a_folder_that_has_its_floor(package):
    distribution = BY_MODULE[package]
    strays = [
        file.relative_to(ROOT).as_posix()
        for file in distribution.files()
        if part_of(file, distribution) not in floors_of(package)
    ]
    assert not strays, (
        f"put it into one of the folders of {package} ({', '.join(FLOORS[package])}), or give its "
        "folder a floor in FLOORS"
    )


@pytest.mark.parametrize("package", FLOORS)
def test_folders_import_downwards(package):
    order = floors_of(package)
    wrong = [
        each
        for here, there, each in own_imports(package)
        if order.index(there) > order.index(here)
        # the registry hands over an Architecture: it is loaded with torch, when asked for
        and not ((here, there) == ("registry", "contract") and not each.at_import)
    ]
    assert not wrong, (
        f"a folder imports those before it, {' < '.join(FLOORS[package])}: move what both need "
        "downwards, or hand it over as an argument"
    )


def importers() -> list[Path]:
    """All source that imports ours: packages, examples, scripts, benchmarks."""
    folders = (ROOT / "scripts", ROOT / "benchmarks", ROOT / "docs/extensions")
    loose = [file for folder in folders for file in folder.rglob("*.py")]
    templates = (BY_MODULE["mt_core"].source / "architectures/templates").rglob("*.py")
    packages = [file for each in [*DISTRIBUTIONS, *examples()] for file in each.files()]
    return [*packages, *templates, *loose]


def passes_the_door(file: Path, each: Import) -> bool:
    """Whether an import reaches for a module behind the door of somebody else's folder."""
    package, folder, *inside = [*each.module.split("."), ""]
    source = BY_MODULE[package].source
    if not (source / folder / "__init__.py").exists() or source / folder in file.parents:
        return False
    commands = BY_NAME["mt-core"].source / "cli"
    # a command loads its own module and no more: help and lists answer at once
    if commands in file.parents and not each.at_import:
        return False
    names = [name for name in inside if name]
    return len(names) > 1 or not door(source / folder).issuperset(names)


def test_a_folder_is_imported_through_its_door():
    wrong = [
        each
        for file in importers()
        for each in imports(file)
        if root(each.module) in FLOORS and passes_the_door(file, each)
    ]
    assert not wrong, (
        "import the name from the folder itself, as in 'from mt_shared.data import Batch'; if it "
        "is not there and others may use it, import it in the folder's __init__.py"
    )


def test_the_contract_needs_torch_metatensor_and_metatomic_alone():
    allowed = {"torch", "metatensor", "metatomic", *sys.stdlib_module_names}
    ours = ("mt_shared.errors", "mt_shared.contract")
    wrong = [
        each
        for file in sorted((BY_MODULE["mt_shared"].source / "contract").glob("*.py"))
        for each in imports(file)
        if root(each.module) not in allowed and not each.module.startswith(ours)
    ]
    assert not wrong, "the contract is small and frozen: this belongs elsewhere"


# ---- what quick commands load


def is_heavy(each: Import) -> bool:
    """Whether it is a heavy library, or a folder of ours that imports one."""
    package, folder, *_ = [*each.module.split("."), ""]
    if package not in FLOORS:
        return package in HEAVY
    return folder in set(FLOORS[package]) - QUICK[package]


@pytest.mark.parametrize("package", QUICK)
def test_folders_of_quick_commands_import_nothing_heavy(package):
    distribution = BY_MODULE[package]
    quick = QUICK[package] | TOP
    wrong = [
        each
        for file in distribution.files()
        if part_of(file, distribution) in quick
        for each in imports(file)
        if each.at_import and is_heavy(each)
    ]
    assert not wrong, "import it in the function that needs it: quick commands load this file"


def loaded_by(code: str) -> set[str]:
    """The modules that a process has imported at its end."""
    end = "import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    command = [sys.executable, "-c", end + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def loaded_by_mt(command: str) -> set[str]:
    return loaded_by(f"from mt_core.cli import main\nsys.exit(main({[command]}))")


def test_mt_list_loads_nothing_heavy():
    wrong = HEAVY & loaded_by_mt("list")
    assert not wrong, "find who imports it: python -X importtime -m mt_core list"


def test_mt_help_loads_the_command_line_alone():
    ours = {"mt_core", "mt_core.__about__", "mt_core.cli"}
    # what site-packages start in every process is not ours to choose
    wrong = {
        name
        for name in loaded_by_mt("--help") - loaded_by("")
        if root(name) not in sys.stdlib_module_names
        and name not in ours
        and not name.startswith("mt_core.cli.")
    }
    assert not wrong, "a command imports what it needs in its own function"


@pytest.mark.parametrize("door", ["contract", "data", "model", "engine", "options", "registry"])
def test_the_doors_for_authors_say_what_they_export(door):
    """Type checkers of those who import from a typed package go by ``__all__``."""
    file = BY_MODULE["mt_shared"].source / door / "__init__.py"
    body = ast.parse(file.read_text(encoding="utf-8")).body
    imported = {
        each.name for node in body if isinstance(node, ast.ImportFrom) for each in node.names
    }
    (named,) = (node.value for node in body if isinstance(node, ast.Assign))
    assert set(ast.literal_eval(named)) == imported, f"mend __all__ of mt_shared.{door}"


def test_a_training_starts_without_what_only_writes_predictions():
    """ASE's formats bring scipy along, which takes a tenth of the start of a training."""
    assert "ase.io" not in loaded_by("import mt_core.training.run")
