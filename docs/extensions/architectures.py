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
from mt_shared.options import UNSET, dump_inline, hyper_table, read_yaml
from mt_shared.registry import (
    CAPABILITIES,
    DEFAULT_HYPERS,
    SCHEMA,
    ArchitectureEntry,
    distribution_name,
    read_capabilities,
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
a section with comments to start from. At a restart, what is free may change, what is on request may
with `--allow-changes`, and what is fixed may not."""
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
    entries = []
    for file in ROOT.glob(f"packages/*/src/*/{CAPABILITIES}"):
        folder = file.parent
        hypers = read_yaml(folder / DEFAULT_HYPERS)
        schema = folder / SCHEMA
        entry = ArchitectureEntry(
            name=hypers["name"],
            distribution=distribution_name(hypers["name"]),
            version="",
            module=folder.name,
            folder=folder,
            maintainers=read_people(folder, "__maintainers__"),
            capabilities=read_capabilities(file),
            default_hypers=hypers,
            # an experimental architecture may lack one
            schema=json.loads(schema.read_text(encoding="utf-8")) if schema.exists() else None,
        )
        entries.append(entry)
    return sorted(entries, key=lambda entry: entry.name)


# ---- the tables of all architectures


def targets_table(entries: list[ArchitectureEntry]) -> str:
    """Which types of targets each architecture fits."""
    header = ["architecture", *TARGETS, "quantity", "forces", "stress", "several targets"]
    rows = []
    for entry in entries:
        able = entry.capabilities or {}
        targets = [able["targets"].get(kind, []) for kind in TARGETS.values()]
        fits = [", ".join(SAMPLES[each] for each in samples) or NONE for samples in targets]
        fits += [", ".join(able.get("quantities", [])) or "any"]
        fits += ["yes" if each in able["gradients"] else NONE for each in ("positions", "strain")]
        rows.append([_link(entry), *fits, capability_words(able)["several targets"]])
    return table(header, rows)


def abilities_table(entries: list[ArchitectureEntry]) -> str:
    """What else a user chooses by."""
    header = ["architecture", "stage", "package", "fit", "locality", "fine-tuning", "devices"]
    rows = []
    for entry in entries:
        able = entry.capabilities or {}
        stage, package = stage_of(entry.name).stage, f"`{entry.distribution}`"
        own = [able[key].replace("_", " ") for key in ("fit", "locality")]
        own += [capability_words(able)[key] for key in ("fine-tuning", "devices")]
        rows.append([_link(entry), stage, package, *own])
    return table(header, rows)


def _link(entry: ArchitectureEntry) -> str:
    # as seen from docs/architectures.md, which includes the tables
    return f"[{entry.name}](architectures/{entry.name}.md)"


# ---- the page of one architecture


def page(entry: ArchitectureEntry) -> str:
    """Its README, its stage, maintainers and capabilities, and its hypers."""
    assert entry.folder is not None
    package = entry.folder.parents[1]
    readme = (package / "README.md").read_text(encoding="utf-8")
    facts = {
        "stage": f"[{stage_of(entry.name).stage}](../life-cycle.md)",
        "maintainers": people_of(entry.maintainers),
        **capability_words(entry.capabilities or {}),
    }
    parts = [
        relinked(readme, package).rstrip(),
        "## What it can do",
        table(["", ""], [list(fact) for fact in facts.items()]),
        "## Hypers",
        HYPERS_NOTE.format(name=entry.name),
        *hyper_sections(entry),
    ]
    return "\n\n".join(parts) + "\n"


def hyper_sections(entry: ArchitectureEntry) -> list[str]:
    """A heading and a table for the model, for the training, and for what the engine adds."""
    sections: dict[str, list[list[str]]] = {}
    for hyper in hyper_table(entry):
        whose = ", by the shared engine" if hyper.of_engine else ""
        heading = f"### Of the {hyper.path[0]}{whose}"
        bare = hyper.is_section or hyper.default is UNSET
        default = "" if bare else f"`{dump_inline(hyper.default)}`"
        meaning = hyper.description.replace("*", "\\*")
        if hyper.unit:
            meaning = f"{meaning} In `length_unit` of the data; the default is in angstrom."
        key, restart = f"`{'.'.join(hyper.path[1:])}`", hyper.at_restart.replace("_", " ")
        cells = [key, hyper.kind, hyper.bounds, default, restart, meaning]
        sections.setdefault(heading, []).append(cells)
    header = ["key", "type", "bounds", "default", "at a restart", "meaning"]
    return [part for head, rows in sections.items() for part in (head, table(header, rows))]


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
    rule = ["---"] * len(header)
    return "\n".join(f"| {' | '.join(map(cell, row))} |" for row in [header, rule, *rows])


def cell(text: str) -> str:
    """Text that neither ends its cell nor its row."""
    return text.replace("|", "\\|").replace("\n", " ")
