"""Who may import whom: the table of ARCHITECTURE.md, read off the source."""

import ast
import sys

import pytest

from distributions import DISTRIBUTIONS, Distribution, Import, imports

ARCHITECTURES = [each for each in DISTRIBUTIONS if each.architectures]
BY_MODULE = {each.module: each for each in DISTRIBUTIONS}
# the module of a distribution, where its name does not tell
MODULES = {
    "featomic-torch": "featomic",
    "metatensor-torch": "metatensor",
    "metatomic-torch": "metatomic",
    "pyyaml": "yaml",
    "sphericart-torch": "sphericart",
}
# downwards: a layer may import those before it; what stands in none of them has no torch
LAYERS = ["contract", "data", "model", "engine", "mlip"]
HEAVY = {"torch", "metatensor", "metatomic", "metatomic_ase", "vesin", "ase", "numpy", "scipy"}


def root(module: str) -> str:
    return module.split(".")[0]


def of_project(distribution: Distribution) -> list[Import]:
    """The imports of other distributions of this repository."""
    found = [each for file in distribution.files() for each in imports(file)]
    return [each for each in found if root(each.module) in set(BY_MODULE) - {distribution.module}]


def layer_of(module: str) -> int:
    """The place in the layers of mt_shared; -1 for what stands below all of them."""
    part = [*module.split("."), ""][1]
    return LAYERS.index(part) if part in LAYERS else -1


@pytest.mark.parametrize("distribution", ARCHITECTURES, ids=lambda each: each.name)
def test_an_architecture_imports_mt_shared_and_nothing_else_of_ours(distribution):
    wrong = [each for each in of_project(distribution) if root(each.module) != "mt_shared"]
    assert not wrong, "an architecture stands alone: take it from mt_shared, or move it there"


@pytest.mark.parametrize("module", ["mt_core", "mt_conformance"])
def test_core_and_conformance_import_mt_shared_and_nothing_else_of_ours(module):
    wrong = [each for each in of_project(BY_MODULE[module]) if root(each.module) != "mt_shared"]
    assert not wrong, "architectures come from the registry, mt_core is run as a command"


def test_mt_shared_imports_nothing_else_of_ours():
    assert not of_project(BY_MODULE["mt_shared"])


def test_mt_shared_imports_itself_downwards():
    shared = BY_MODULE["mt_shared"]
    wrong = []
    for file in shared.files():
        here = layer_of(".".join(file.relative_to(shared.source.parent).with_suffix("").parts))
        for each in imports(file):
            upwards = root(each.module) == "mt_shared" and layer_of(each.module) > here
            # the registry hands over an Architecture: it is loaded with torch, when asked for
            if upwards and (
                each.at_import or each.module.split(".")[:2] != ["mt_shared", "contract"]
            ):
                wrong.append(each)
    assert not wrong, f"a layer may import those before it: {' <- '.join(LAYERS)}"


def test_the_lower_half_of_mt_shared_and_the_quick_commands_import_no_torch():
    shared, core = BY_MODULE["mt_shared"], BY_MODULE["mt_core"]
    lower = [file for file in shared.source.glob("*.py") if layer_of(f"mt_shared.{file.stem}") < 0]
    quick = [
        "__init__",
        "__main__",
        "capability_words",
        "cli",
        "completion",
        "describing",
        "doctor",
        "example",
        "failures",
        "lifecycle",
        "listing",
        "new_package",
        "probe",
        "proving",
        "terminal",
    ]
    files = [*lower, *(core.source / f"{name}.py" for name in quick)]
    wrong = [
        each
        for file in files
        for each in imports(file)
        if each.at_import and root(each.module) in HEAVY
    ]
    assert not wrong, "import it in the function that needs it: quick commands load this file"


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


@pytest.mark.parametrize("module", ["mt_shared", "mt_core", "mt_conformance"])
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
    required = {
        MODULES.get(each.name.lower(), each.name.lower().replace("-", "_"))
        for each in distribution.requirements
    }
    allowed = {*required, *sys.stdlib_module_names, distribution.module}
    wrong = [
        each
        for file in distribution.files()
        for each in imports(file)
        if root(each.module) not in allowed
    ]
    assert not wrong, f"add it to the dependencies in {distribution.folder.name}/pyproject.toml"
