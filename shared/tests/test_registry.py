"""What is found, what is said of what is broken, and that only one architecture is imported."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from mt_shared import registry
from mt_shared.__about__ import __version__
from mt_shared.errors import ArchitectureError

GOOD_INIT = """
class __model__:
    __checkpoint_version__ = 1
    __default_metadata__ = __supported_devices__ = __supported_dtypes__ = ()
class __trainer__:
    __checkpoint_version__ = 1
    trained_class = staticmethod(lambda model_class: model_class)
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
        metadata: str = "",
        **files: str | bytes | None,
    ) -> Path:
        """Lay down an architecture; ``files`` replaces single files, or removes them (None).

        ``metadata`` is added to name and version.
        """
        distribution = distribution or f"mt-{name}"
        module = module or f"mt_{name}"
        info = self.folder / f"{distribution.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir()
        lines = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2.3\n{metadata}"
        if requires:
            lines += f"Requires-Dist: {requires}\n"
        (info / "METADATA").write_text(lines)
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
                data = text if isinstance(text, bytes) else text.encode()
                (package / names[key]).write_bytes(data)
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


def test_a_trainer_that_is_no_trainer_is_told_what_to_be_derived_from(site):
    site.install("toy", init=GOOD_INIT.replace("trained_class", "forgotten"))
    said = "derive the class __trainer__ from mt_shared.contract.TrainerInterface"
    with pytest.raises(ArchitectureError, match=said):
        registry.load("toy")


def test_capabilities_without_inputs_have_none(site):
    site.install("toy")
    assert registry.installed()["toy"].capabilities["inputs"] == []


def test_inputs_are_those_of_engines_and_ones_own(site):
    site.install("toy", capabilities=f"{GOOD_CAPABILITIES}\ninputs: [charge, 'mtt::field']\n")
    assert registry.find("toy").capabilities["inputs"] == ["charge", "mtt::field"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("chrage", "found 'chrage', expected an input of engines (charge, mass,"),
        ("chrage", "(did you mean 'charge'?)"),
        ("field", "or a name of your own, such as 'mtt::"),
        ("'::field'", "found '::field', expected"),
        ("'mtt::'", "found 'mtt::', expected"),
        ("3", "found 3, expected text"),
    ],
)
def test_another_input_is_refused_with_the_nearest(site, name, said):
    site.install("toy", capabilities=f"{GOOD_CAPABILITIES}\ninputs: [{name}]\n")
    error = registry.installed()["toy"].error
    assert "inputs.0" in error
    assert said in error


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
        ({"hypers": "model: [1]\n"}, "'model' is not a mapping"),
        ({"hypers": "model: {size: \t1"}, "default-hypers.yaml:1"),
        ({"hypers": "name: toy_broken\ntrainig: {}\n"}, "'trainig' (did you mean 'training'?)"),
        ({"hypers": "architecture: {name: toy_broken}\n"}, "unknown section 'architecture'; exp"),
        ({"hypers": "name: other\nmodel: {}\n"}, "found 'name: other', expected 'name: toy_bro"),
        ({"hypers": "model: {}\n"}, "'name' is missing, expected 'name: toy_broken'"),
        ({"hypers": b"model: {size: '\xff'}\n"}, "UTF-8"),
        ({"capabilities": GOOD_CAPABILITIES.encode("utf-16")}, "UTF-8"),
        ({"init": None}, "has no __init__.py"),
        ({"init": "def broken(:\n"}, "__init__.py, line 1 is not Python"),
        ({"schema": "{"}, "is not JSON"),
        ({"schema": b'{"title": "\xff"}'}, "is not JSON"),
        ({"schema": '{"properties": {"model": {"type": "nubmer"}}}'}, "properties/model/type"),
        ({"schema": '{"$ref": "urn:mt-shared:engine:99"}'}, "'urn:mt-shared:engine:99'"),
        ({"schema": '{"$ref": "#/$defs/gone"}'}, "'#/$defs/gone', which is not there"),
        ({"schema": '{"properties": {"a": {"atRestart": "no"}}}'}, "'no' is not one of ['free'"),
        ({"module": "mt_toy_broken:Model"}, "'mt_toy_broken:Model'; expected the name of a top"),
        ({"requires": "numpy >>= 1"}, "a requirement cannot be read"),
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


def test_empty_sections_of_the_hypers_are_empty(site):
    site.install("toy", hypers="name: toy\nmodel:\ntraining:\n")
    assert registry.find("toy").default_hypers == {"name": "toy", "model": {}, "training": {}}


def test_the_name_of_a_strangers_package_is_free(site):
    site.install("toy", distribution="Stranger.Potential", module="mt_toy_strange")
    assert registry.load("toy").name == "toy"


@pytest.mark.parametrize(
    ("metadata", "expected"), [(None, "metadata"), ("Version: 1.0\n", "lack the name")]
)
def test_broken_metadata_are_an_error_of_that_package_alone(site, metadata, expected):
    site.install("toy_broken")
    site.install("toy")
    (file,) = site.folder.glob("mt_toy_broken*.dist-info/METADATA")
    file.unlink()
    if metadata is not None:
        file.write_text(metadata)
    assert expected in registry.installed()["toy_broken"].error
    assert registry.load("toy").name == "toy"


def test_entry_points_that_are_no_text_hinder_no_other_package(site):
    site.install("toy")
    info = site.folder / "junk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: junk\nVersion: 1.0\n")
    (info / "entry_points.txt").write_bytes(b"\xff\xfe")
    assert registry.load("toy").name == "toy"


# ---- made for another mt-shared


def test_one_made_for_another_mt_shared_is_listed_with_both_versions(site):
    site.install("toy", requires="mt-shared>=99", init=GOOD_INIT + "raise SystemExit")
    entry = registry.installed()["toy"]
    assert entry.maintainers == (("B <b@example.org>", "@b"),)
    error = entry.error
    assert "mt-toy 1.2.3 is made for mt-shared>=99" in error
    assert f"mt-shared {__version__} is installed" in error
    assert "pip install --upgrade mt-toy" in error
    assert "pip install 'mt-shared>=99'" in error
    with pytest.raises(ArchitectureError, match="made for mt-shared>=99"):
        registry.load("toy")


@pytest.mark.parametrize(
    "requires", [f"mt_shared=={__version__}", "mt-shared>=99; extra == 'docs'", "numpy>=1"]
)
def test_one_made_for_this_mt_shared_is_fit(site, requires):
    site.install("toy", requires=requires)
    assert registry.installed()["toy"].error is None


# ---- imports that fail


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "from mt_shared.modle import BaseModel",
            "No module named 'mt_shared.modle' (did you mean 'mt_shared.model'?)",
        ),
        (
            "from mt_shared.errors import DataEror",
            "cannot import name 'DataEror' from 'mt_shared.errors'",
        ),
        ("from mt_shared.errors import DataEror", "(did you mean 'DataError'?)"),
        ("import pakaging", "No module named 'pakaging' (did you mean 'packaging'?)"),
        ("import jsno", "No module named 'jsno' (did you mean 'json'?)"),
        ("import mt_toy.modle", "No module named 'mt_toy.modle' (did you mean 'mt_toy.model'?)"),
        ("from mt_toy.model import Netwrok", "(did you mean 'Network'?)"),
        ("Netwrok = 1\nNetwork", "name 'Network' is not defined (did you mean 'Netwrok'?)"),
        ("from mt_shared import errors; errors.DataEror", "(did you mean 'DataError'?)"),
        ("from mt_toy.broken import Network", "SyntaxError"),
    ],
)
def test_what_an_author_has_misspelt_is_shown_where_it_stands(site, line, said):
    package = site.install("toy", requires="mt-shared\nRequires-Dist: packaging", init=f"\n{line}")
    (package / "model.py").write_text("class Network: pass\n")
    (package / "broken.py").write_text("\nclass Network\n")
    with pytest.raises(ArchitectureError) as caught:
        registry.load("toy")
    message = str(caught.value)
    where = package / ("broken.py" if "broken" in line else "__init__.py")
    assert f"{where}, line {line.count(chr(10)) + 2}: " in message
    assert said in message
    # no version is to blame, and none is to be installed
    assert not re.search("pip install|is made for|is installed", message), message


def test_the_line_is_that_of_the_package_and_not_of_what_it_calls(site):
    init = "from mt_toy.model import size\n\nsize()"
    package = site.install("toy", init=init)
    (package / "model.py").write_text("import json\n\ndef size():\n    json.loads('{')\n")
    with pytest.raises(ArchitectureError, match=r"model\.py, line 4: JSONDecodeError"):
        registry.load("toy")


@pytest.mark.parametrize(
    "line", ["from packaging import new_half", "import packaging.new_half", "packaging.new_half"]
)
def test_what_another_version_has_is_told_with_that_version(site, line):
    site.install("toy", requires="packaging>=9999", init=f"import packaging\n{line}")
    with pytest.raises(ArchitectureError) as caught:
        registry.load("toy")
    message = str(caught.value)
    assert f"is made for packaging>=9999, but {version('packaging')} is installed" in message
    assert "pip install 'packaging>=9999'" in message


# ---- people


def test_maintainers_are_read_without_an_import(site):
    site.install("toy", init=GOOD_INIT + "raise SystemExit('imported')")
    assert registry.find("toy").maintainers == (("B <b@example.org>", "@b"),)


def test_maintainers_may_be_another_name_for_the_authors(site):
    init = "__authors__ = [('A <a@example.org>', '@a')]\n__maintainers__ = __authors__\n"
    site.install("toy", init=init)
    assert registry.find("toy").maintainers == (("A <a@example.org>", "@a"),)


@pytest.mark.parametrize("value", ["find_them()", "__maintainers__", "['A']"])
def test_maintainers_that_are_not_written_out_are_those_of_the_distribution(site, value):
    metadata = "Author-email: A <a@example.org>, B <b@example.org>\nSummary: a toy\n"
    site.install("toy", init=f"__maintainers__ = {value}\n", metadata=metadata)
    entry = registry.find("toy")
    assert entry.maintainers == (("A <a@example.org>", ""), ("B <b@example.org>", ""))
    assert entry.summary == "a toy"


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
    with pytest.raises(ArchitectureError, match=r"mt-toy and mt-toy-fork.*pip uninstall mt-toy"):
        registry.find("toy")
    site.install("toy_other")
    assert registry.load("toy_other").name == "toy_other"


def test_a_broken_one_is_looked_up_with_its_error(site):
    site.install("toy", hypers=None)
    assert "default-hypers.yaml" in registry.look_up("toy").error
    with pytest.raises(ArchitectureError, match="not installed"):
        registry.look_up("no_toy")


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


def test_a_missing_module_of_another_name_gets_the_requirements_that_are_missing(site):
    site.install("toy", init="import no_such_library", requires="py-no-such>=2")
    with pytest.raises(ArchitectureError, match=r"pip install 'py-no-such>=2'"):
        registry.load("toy")


def test_a_missing_module_that_no_requirement_brings_is_the_maintainers_matter(site):
    site.install("toy", init="import no_such_library", requires="numpy")
    with pytest.raises(ArchitectureError, match="not among its requirements; tell its maint"):
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


def test_a_name_in_capitals_is_guessed(site):
    site.install("toy_net")
    with pytest.raises(ArchitectureError, match="did you mean 'toy_net'"):
        registry.find("TOY_NET")


def test_a_package_that_leaves_at_import_does_not_end_us(site):
    site.install("toy", init="raise SystemExit(3)")
    with pytest.raises(ArchitectureError, match=r"mt-toy 1\.2\.3.*SystemExit: 3"):
        registry.load("toy")


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
