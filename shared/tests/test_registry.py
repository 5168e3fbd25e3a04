"""What is found, what is said of what is broken, and that only one architecture is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from mt_shared import registry
from mt_shared.errors import ArchitectureError

GOOD_INIT = """
class __model__:
    __checkpoint_version__ = 1
    __default_metadata__ = __supported_devices__ = __supported_dtypes__ = ()
class __trainer__:
    __checkpoint_version__ = 1
__authors__ = [("A <a@example.org>", "@a")]
__maintainers__ = [("B <b@example.org>", "@b")]
"""
GOOD_CAPABILITIES = """
targets: {scalar: [system]}
gradients: []
multiple_targets: false
symmetries: {translation: exact, rotation: none, inversion: none, permutation: exact}
locality: local
long_range: false
finetuning: []
distributed: false
devices: [cpu]
dtypes: [float64]
fit: closed_form
"""


class Site:
    """A folder of installed distributions, as pip leaves it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def install(
        self,
        name: str = "toy",
        *,
        distribution: str = "",
        module: str = "",
        requires: str = "",
        **files: str | None,
    ) -> Path:
        """Lay down an architecture; ``files`` replaces single files, or removes them (None)."""
        distribution = distribution or f"mt-{name}"
        module = module or f"mt_{name}"
        info = self.folder / f"{distribution.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2.3\n"
        if requires:
            metadata += f"Requires-Dist: {requires}\n"
        (info / "METADATA").write_text(metadata)
        (info / "entry_points.txt").write_text(f"[mt.architectures]\n{name} = {module}\n")
        content = {
            "init": GOOD_INIT,
            "capabilities": GOOD_CAPABILITIES,
            "hypers": f"name: {name}\nmodel: {{size: 1}}\ntraining: {{}}\n",
            "schema": '{"type": "object"}',
            **files,
        }
        names = {
            "init": "__init__.py",
            "capabilities": registry.CAPABILITIES,
            "hypers": registry.DEFAULT_HYPERS,
            "schema": registry.SCHEMA,
        }
        package = self.folder / module
        package.mkdir(exist_ok=True)
        for key, text in content.items():
            if text is not None:
                (package / names[key]).write_text(text)
        return package


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("mt_toy"):
            del sys.modules[name]


def test_an_entry_holds_metadata_and_data_files(site):
    folder = site.install("toy")
    entry = registry.find("toy")
    assert (entry.distribution, entry.version, entry.module) == ("mt-toy", "1.2.3", "mt_toy")
    assert entry.folder == folder
    assert entry.error is None
    assert entry.capabilities["fit"] == "closed_form"
    assert entry.default_hypers["model"] == {"size": 1}
    assert entry.schema == {"type": "object"}


def test_capabilities_and_schema_may_be_left_out(site):
    site.install("toy", capabilities=None, schema=None)
    entry = registry.find("toy")
    assert entry.error is None
    assert entry.capabilities is None
    assert entry.schema is None


def test_listing_imports_no_architecture_and_no_torch(site):
    site.install("toy", init="raise SystemExit('imported')")
    code = (
        "import sys; from mt_shared import registry; assert 'toy' in registry.installed();"
        "heavy = {'torch', 'numpy', 'ase', 'metatensor', 'metatomic', 'mt_toy', 'mt_soap_bpnn'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(site.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.strip() == "[]", run.stderr


@pytest.mark.parametrize(
    ("attribute", "part"),
    [
        ("__checkpoint_version__", "__trainer__"),
        ("__default_metadata__", "__model__"),
        ("__supported_devices__", "__model__"),
    ],
)
def test_a_class_without_what_the_contract_asks_for_is_refused_by_name(site, attribute, part):
    first, second, rest = GOOD_INIT.partition("class __trainer__:")
    if part == "__model__":
        first = first.replace(attribute, "forgotten")
    else:
        rest = rest.replace(attribute, "forgotten")
    site.install("toy", init=first + second + rest)
    with pytest.raises(ArchitectureError, match=f"the class {part} lacks {attribute}"):
        registry.load("toy")


def test_loading_gives_the_two_classes_and_the_people(site):
    site.install("toy")
    site.install("toy_other", init="raise SystemExit('the wrong one was imported')")
    architecture = registry.load("toy")
    assert architecture.name == "toy"
    assert architecture.model_class.__name__ == "__model__"
    assert architecture.trainer_class.__name__ == "__trainer__"
    assert architecture.maintainers == [("B <b@example.org>", "@b")]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"hypers": None}, "no default-hypers.yaml"),
        ({"hypers": "- a list\n"}, "not a mapping"),
        ({"hypers": "model: {a: 1, a: 2}\n"}, "default-hypers.yaml"),
        ({"schema": "{"}, "is not JSON"),
        ({"schema": "[]"}, "is not a JSON schema"),
        ({"capabilities": GOOD_CAPABILITIES.replace("fit:", "fitt:")}, "fit"),
        ({"capabilities": GOOD_CAPABILITIES.replace("[cpu]", "[toaster]")}, "toaster"),
    ],
)
def test_a_broken_package_is_listed_with_its_error_and_hinders_nobody(site, files, expected):
    site.install("toy_broken", **files)
    site.install("toy")
    assert expected in registry.installed()["toy_broken"].error
    with pytest.raises(ArchitectureError, match="toy_broken"):
        registry.find("toy_broken")
    assert registry.load("toy").name == "toy"


def test_a_module_that_is_gone_is_an_error_of_its_entry(site):
    package = site.install("toy")
    for file in package.iterdir():
        file.unlink()
    package.rmdir()
    assert "pip install --force-reinstall mt-toy" in registry.installed()["toy"].error


def test_an_entry_point_below_a_package_is_refused_without_importing_it(site):
    site.install("toy", module="mt_toy.inner")
    assert "top-level" in registry.installed()["toy"].error
    assert "mt_toy" not in sys.modules


def test_two_distributions_with_one_name_are_both_named(site):
    site.install("toy", distribution="mt-toy", module="mt_toy")
    site.install("toy", distribution="mt-toy-fork", module="mt_toy_fork")
    with pytest.raises(ArchitectureError, match="mt-toy and mt-toy-fork"):
        registry.find("toy")


def test_a_misspelt_name_gets_the_nearest(site):
    site.install("toy")
    with pytest.raises(ArchitectureError, match=r"'toi' is not installed \(did you mean 'toy'"):
        registry.find("toi")


def test_a_known_name_is_told_how_to_install_it():
    with pytest.raises(ArchitectureError, match=r"pip install mt-toy-two$"):
        registry.find("toy_two", known=["toy_two"])


def test_a_name_near_a_known_one_is_told_how_to_install_that():
    with pytest.raises(ArchitectureError, match=r"did you mean 'toy_two'.*pip install mt-toy-two"):
        registry.find("toy_tow", known=["toy_two"])


def test_a_name_like_no_other_gets_the_list_of_what_there_is(site):
    site.install("toy")
    with pytest.raises(ArchitectureError, match=r"installed:.* toy.*pip install: mt-toy-two"):
        registry.find("zzzzzzzz", known=["toy_two"])


def test_a_missing_dependency_is_named_with_the_requirement_that_brings_it(site):
    site.install(
        "toy", init="import no_such_library", requires="no-such.library>=2.1; python_version>'3'"
    )
    with pytest.raises(
        ArchitectureError, match=r"'no_such_library'.*pip install 'no-such.library>=2.1'"
    ):
        registry.load("toy")


def test_a_missing_module_of_its_own_is_a_broken_package(site):
    site.install("toy", init="import mt_toy.forgotten")
    with pytest.raises(ArchitectureError, match=r"cannot be imported.*mt_toy\.forgotten"):
        registry.load("toy")


def test_a_package_that_raises_at_import_is_reported_with_its_version(site):
    site.install("toy", init="1 / 0")
    with pytest.raises(ArchitectureError, match=r"mt-toy 1\.2\.3.*ZeroDivisionError") as caught:
        registry.load("toy")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    "attribute", ["__model__", "__trainer__", "__authors__", "__maintainers__"]
)
@pytest.mark.parametrize("value", [None, "'text'"])
def test_each_missing_or_misshapen_attribute_is_named(site, attribute, value):
    init = GOOD_INIT + (f"del {attribute}\n" if value is None else f"{attribute} = {value}\n")
    site.install("toy", init=init)
    with pytest.raises(ArchitectureError, match=f"{attribute} must be"):
        registry.load("toy")


def test_names_follow_one_rule():
    assert registry.distribution_name("soap_bpnn") == "mt-soap-bpnn"
