"""Names, versions and files that every distribution has, and that agree with one another."""

import pytest

from distributions import DISTRIBUTIONS, ROOT, Distribution

VERSIONS = {each.name: each.version for each in DISTRIBUTIONS}
SIBLINGS = [
    pytest.param(each, requirement, id=f"{each.name}-{requirement.name}")
    for each in DISTRIBUTIONS
    for requirement in each.requirements
    if requirement.name in VERSIONS
]
each_distribution = pytest.mark.parametrize(
    "distribution", DISTRIBUTIONS, ids=lambda each: each.name
)


@pytest.mark.parametrize(("distribution", "requirement"), SIBLINGS)
def test_a_sibling_is_required_in_a_range_that_admits_the_source_beside(distribution, requirement):
    operators = {each.operator for each in requirement.specifier}
    assert operators == {">=", "<"}, "siblings are required with a floor and a ceiling, never =="
    assert VERSIONS[requirement.name] in requirement.specifier


@each_distribution
def test_every_requirement_has_a_floor(distribution):
    without = [
        str(each)
        for each in distribution.requirements
        if ">=" not in {specifier.operator for specifier in each.specifier}
    ]
    assert not without


@each_distribution
def test_distribution_and_module_have_one_name(distribution):
    assert distribution.module == distribution.name.replace("-", "_")
    if distribution.folder.parent.name == "packages":
        assert distribution.folder.name == distribution.name


@pytest.mark.parametrize(
    "distribution",
    [each for each in DISTRIBUTIONS if each.architectures],
    ids=lambda each: each.name,
)
def test_an_architecture_has_the_name_of_its_distribution(distribution: Distribution):
    name = distribution.name.removeprefix("mt-").replace("-", "_")
    assert distribution.architectures == {name: distribution.module}


@each_distribution
@pytest.mark.parametrize("file", ["README.md", "CHANGELOG.md", "LICENSE"])
def test_each_distribution_has_its_own(distribution, file):
    assert (distribution.folder / file).read_text(encoding="utf-8").strip()


@each_distribution
def test_each_distribution_carries_the_same_license(distribution):
    own, ours = (folder / "LICENSE" for folder in (distribution.folder, ROOT))
    assert own.read_bytes() == ours.read_bytes(), f"cp LICENSE {distribution.path}/"


@each_distribution
def test_each_distribution_says_that_it_is_typed(distribution):
    assert (distribution.source / "py.typed").exists()


def test_the_version_to_cite_is_that_of_the_dispatcher():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {VERSIONS['mt-core']}\n" in text
