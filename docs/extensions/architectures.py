"""The pages of ``docs/architectures``, written from the folders of ``packages`` at each build.

Of the packages only mt-core and mt-shared have to be installed: what is shown of an architecture
are its README, its default hypers, its schema and its capabilities, which are files.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt_core.architectures import capability_words, people_of, stage_of
from mt_shared.options import UNSET, Hyper, dump_inline, hyper_table, read_yaml
from mt_shared.registry import (
    CAPABILITIES,
    DEFAULT_HYPERS,
    SCHEMA,
    ArchitectureEntry,
    distribution_name,
    read_people,
)

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = DOCS / "architectures"
NONE = "–"
HYPERS_NOTE = """\
Keys count from `architecture.model` and `architecture.training` in an
[options file](../options.md). `mt describe {name}` prints the same, `mt describe {name} --defaults`
a section with comments to start from."""
# a link of Markdown to another file
LINK = re.compile(r"\[(?P<text>[^][]*)\]\((?![a-z]+:|#)(?P<path>[^)#]+)(?P<anchor>#[^)]*)?\)")

TARGETS = {"scalar": "scalar", "Cartesian": "cartesian", "spherical": "spherical"}
SAMPLES = {"system": "per structure", "atom": "per atom"}


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before Sphinx looks for its sources."""
    app.connect("builder-inited", lambda _: write_pages())
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages() -> None:
    """One page for each architecture, and the tables of all of them."""
    entries = read_entries()
    pages = {f"{entry.name}.md": page(entry) for entry in entries}
    pages |= {"targets.inc": targets_table(entries), "abilities.inc": abilities_table(entries)}
    PAGES.mkdir(exist_ok=True)
    # of an architecture that was renamed or removed
    for left in {path.name for path in PAGES.iterdir()} - set(pages):
        (PAGES / left).unlink()
    for name, text in pages.items():
        path = PAGES / name
        # an unchanged page keeps its time, so that Sphinx does not read it again
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def read_entries() -> list[ArchitectureEntry]:
    """Every architecture of the repository, as its files describe it, by name."""
    files = ROOT.glob(f"packages/*/src/*/{CAPABILITIES}")
    return sorted((_read(file.parent) for file in files), key=lambda entry: entry.name)


def _read(folder: Path) -> ArchitectureEntry:
    hypers = read_yaml(folder / DEFAULT_HYPERS)
    name = hypers["name"]
    return ArchitectureEntry(
        name=name,
        distribution=distribution_name(name),
        version="",
        module=folder.name,
        folder=folder,
        maintainers=read_people(folder, "__maintainers__"),
        capabilities=read_yaml(folder / CAPABILITIES),
        default_hypers=hypers,
        schema=_schema(folder / SCHEMA),
    )


def _schema(path: Path) -> dict[str, Any] | None:
    """An experimental architecture may lack a schema."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


# ---- the tables of all architectures


def targets_table(entries: list[ArchitectureEntry]) -> str:
    """Which types of targets each architecture fits."""
    header = ["architecture", *TARGETS, "quantity", "forces", "stress", "several targets"]
    return table(header, [_target_cells(entry) for entry in entries])


def _target_cells(entry: ArchitectureEntry) -> list[str]:
    able = entry.capabilities or {}
    targets = [able["targets"].get(kind, []) for kind in TARGETS.values()]
    fits = [", ".join(SAMPLES[each] for each in samples) or NONE for samples in targets]
    fits += [", ".join(able.get("quantities", [])) or "any"]
    gradients = [gradient in able["gradients"] for gradient in ("positions", "strain")]
    fits += ["yes" if each else NONE for each in gradients]
    return [_link(entry), *fits, capability_words(able)["several targets"]]


def abilities_table(entries: list[ArchitectureEntry]) -> str:
    """What else a user chooses by."""
    header = ["architecture", "stage", "package", "fit", "locality", "fine-tuning", "devices"]
    return table(header, [_ability_cells(entry) for entry in entries])


def _ability_cells(entry: ArchitectureEntry) -> list[str]:
    able = entry.capabilities or {}
    said = capability_words(able)
    stage, package = stage_of(entry.name).stage, f"`{entry.distribution}`"
    fit, locality = (able[key].replace("_", " ") for key in ("fit", "locality"))
    return [_link(entry), stage, package, fit, locality, said["fine-tuning"], said["devices"]]


def _link(entry: ArchitectureEntry) -> str:
    # as seen from docs/architectures.md, which includes the tables
    return f"[{entry.name}](architectures/{entry.name}.md)"


# ---- the page of one architecture


def page(entry: ArchitectureEntry) -> str:
    """Its README, what it can do, and its hypers."""
    assert entry.folder is not None
    package = entry.folder.parents[1]
    readme = (package / "README.md").read_text(encoding="utf-8")
    parts = [
        relinked(readme, package).rstrip(),
        "## What it can do",
        facts_table(entry),
        "## Hypers",
        HYPERS_NOTE.format(name=entry.name),
        *hyper_sections(entry),
    ]
    return "\n\n".join(parts) + "\n"


def facts_table(entry: ArchitectureEntry) -> str:
    """Its stage and maintainers, and every line of its ``capabilities.yaml``."""
    stage = f"[{stage_of(entry.name).stage}](../life-cycle.md)"
    able = capability_words(entry.capabilities or {})
    facts = {"stage": stage, "maintainers": people_of(entry.maintainers), **able}
    return table(["", ""], [[about, what] for about, what in facts.items()])


def hyper_sections(entry: ArchitectureEntry) -> list[str]:
    """A heading and a table for the model, for the training, and for what the engine adds."""
    hypers = hyper_table(entry)
    sections = {
        "### Of the model": [each for each in hypers if each.path[0] == "model"],
        "### Of the training": [
            each for each in hypers if each.path[0] == "training" and not each.of_engine
        ],
        "### Of the training, by the shared engine": [each for each in hypers if each.of_engine],
    }
    header = ["key", "type", "bounds", "default", "meaning"]
    return [
        part
        for heading, rows in sections.items()
        if rows
        for part in (heading, table(header, [_hyper_cells(each) for each in rows]))
    ]


def _hyper_cells(hyper: Hyper) -> list[str]:
    default = (
        "" if hyper.is_section or hyper.default is UNSET else f"`{dump_inline(hyper.default)}`"
    )
    meaning = hyper.description.replace("*", "\\*")
    key = ".".join(hyper.path[1:])
    return [f"`{key}`", hyper.kind, hyper.bounds, default, meaning]


def relinked(text: str, folder: Path) -> str:
    """The text of a README with its links as seen from ``docs/architectures``.

    Pages of the site are linked to, and so are the READMEs of architectures, as their pages; of
    other files, which are not in the site, the text stays.

    :raises ValueError: for a link to a file that is not there
    """

    def replace(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / match["path"]))
        if not target.exists():
            raise ValueError(f"{folder / 'README.md'} links to {match['path']}, which is not there")
        place = _place(target)
        return f"[{match['text']}]({place}{match['anchor'] or ''})" if place else match["text"]

    return LINK.sub(replace, text)


def _place(target: Path) -> str | None:
    """The page of a file, from ``docs/architectures``; None where the site has none."""
    if target.suffix == ".md" and target.parent == DOCS:
        return f"../{target.name}"
    if target.name == "README.md" and any(target.parent.glob(f"src/*/{CAPABILITIES}")):
        return target.parent.name.removeprefix("mt-").replace("-", "_") + ".md"
    return None


# ---- markdown


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown."""
    rule = ["---"] * len(header)
    return "\n".join(f"| {' | '.join(map(cell, row))} |" for row in [header, rule, *rows])


def cell(text: str) -> str:
    """Text that neither ends its cell nor its row."""
    return text.replace("|", "\\|").replace("\n", " ")
