"""The pages of architectures in the site: nothing of a package is left out, and links lead on."""

import importlib.util
import sys

import pytest

from distributions import BY_NAME, ROOT
from mt_shared.options import hyper_table
from stages import stable, stages


@pytest.fixture(scope="module")
def site():
    """The extension of Sphinx that writes the pages."""
    path = ROOT / "docs" / "extensions" / "architectures.py"
    spec = importlib.util.spec_from_file_location("docs_architectures", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def entries(site):
    return site.read_entries()


def test_every_package_with_an_architecture_has_a_page(entries):
    folders = {file.parents[2].name for file in ROOT.glob("packages/*/src/*/default-hypers.yaml")}
    assert {entry.distribution for entry in entries} == folders


def test_a_page_has_every_hyper_with_its_default(site, entries):
    for entry in entries:
        text = site.page(entry)
        model, heading, training = text.partition("\n### Of the training")
        sections = {"model": model, "training": heading + training}
        for hyper in hyper_table(entry):
            key = ".".join(hyper.path[1:])
            lines = sections[hyper.path[0]].splitlines()
            (line,) = [line for line in lines if line.startswith(f"| `{key}` | {hyper.kind} |")]
            if isinstance(hyper.default, float):
                assert f"| `{hyper.default}` |" in line
            assert f"| {hyper.at_restart.replace('_', ' ')} | " in line


def test_a_page_has_every_capability(site, entries):
    for entry in entries:
        text = site.page(entry)
        able = entry.capabilities
        words = [*able["targets"], *able["finetuning"], *able["devices"], *able["dtypes"]]
        for word in [*words, *able["symmetries"], *able["symmetries"].values()]:
            assert word in text, entry.name


def test_the_table_says_which_targets_an_architecture_fits(site, entries):
    """The cells are those of capabilities.yaml, in the order of the header."""
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in site.targets_table(entries).splitlines()
    ]
    for entry, row in zip(entries, rows, strict=True):
        cells = dict(zip(header, row, strict=True))
        scalar = entry.capabilities["targets"].get("scalar", [])
        assert ("per atom" in cells["scalar"]) == ("atom" in scalar)
        assert ("per structure" in cells["scalar"]) == ("system" in scalar)
        for quantity in entry.capabilities.get("quantities", ["any"]):
            assert quantity in cells["quantity"]
        assert (cells["stress"] == "yes") == ("strain" in entry.capabilities["gradients"])
        several = {True: "yes", False: "no"}.get(entry.capabilities["multiple_targets"])
        assert several is None or cells["several targets"] == several


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[tuning](../../docs/tuning.md)", "[tuning](../tuning.md)"),
        ("[part](../../docs/tuning.md#the-defaults)", "[part](../tuning.md#the-defaults)"),
        ("[other](../mt-painn/README.md)", "[other](painn.md)"),
        ("[code](src/mt_gap/model.py)", "code"),
        ("[featomic](https://example.org/a)", "[featomic](https://example.org/a)"),
        ("[here](#figures)", "[here](#figures)"),
    ],
)
def test_links_of_a_readme_lead_to_the_pages_of_the_site(site, written, expected):
    assert site.relinked(written, ROOT / "packages" / "mt-gap") == expected


def test_a_link_of_a_readme_to_nothing_is_an_error(site):
    with pytest.raises(ValueError, match=r"nowhere\.md"):
        site.relinked("[text](nowhere.md)", ROOT / "packages" / "mt-gap")


def test_what_would_end_a_cell_is_escaped(site):
    assert site.table(["a"], [["x | y\nz"]]).splitlines()[-1] == "| x \\| y z |"


ROW = "| `{name}` | {what} | {stage} | [`{package}`](packages/{package}/README.md) |"


def test_the_readme_names_every_stable_architecture_and_no_stage_that_is_wrong(entries):
    """Experimental ones are in the tables that the site makes, and may be in this one."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    rows = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    known = {entry.name: entry for entry in entries}
    assert not set(rows) - set(known), "strike off the table of README.md what has no folder"
    for name in {*rows, *stable()}:
        package = known[name].distribution
        what = rows[name].split(" | ")[1] if name in rows else BY_NAME[package].description
        row = ROW.format(name=name, what=what, stage=stages()[name], package=package)
        assert rows.get(name) == row, f"the row in the table of README.md is\n{row}"
