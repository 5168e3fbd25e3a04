"""``mt describe``: what an architecture is, what it can do, and every hyper.

All of it is read off metadata, data files and source; nothing is imported, so that a package whose
dependencies are missing is described as well, and a broken one with its error.
"""

from collections.abc import Iterator
from textwrap import indent

from mt_core.architectures.capability_words import capability_words
from mt_core.architectures.installed import find_entry, look_up_entry
from mt_core.architectures.lifecycle import notice, stage_of
from mt_core.architectures.terminal import labelled, terminal_width, wrapped
from mt_shared.options import UNSET, Hyper, dump_inline, hyper_table
from mt_shared.registry import CAPABILITIES, SCHEMA, ArchitectureEntry, read_references

_WIDEST = 100


def describe(name: str, defaults: bool = False) -> str:
    """What is known of an installed architecture, or with ``defaults`` a section of options."""
    if defaults:
        return default_options(find_entry(name))
    entry = look_up_entry(name)
    width = min(terminal_width(_WIDEST), _WIDEST)
    if entry.error is not None:
        return "\n".join(_head(entry, width))
    parts = [_head(entry, width), _abilities(entry, width), _hypers(entry, width)]
    return "\n\n".join("\n".join(part) for part in parts)


def default_options(entry: ArchitectureEntry) -> str:
    """The section ``architecture`` with every default, each explained in a comment."""
    # without a schema only an import would tell whether the shared trainer trains it
    unknown = (
        "# Those of the shared trainer, if it is the one that trains it, are missing: there is no "
        f"{SCHEMA}."
    )
    table = hyper_table(entry)
    lines = [
        f"# {entry.name} of {entry.distribution} {entry.version}: every hyper at its default.",
        *([unknown] if entry.schema is None else []),
        "# What stays as it is may be left out.",
        *(_LENGTHS if any(hyper.unit for hyper in table) else ()),
        "architecture:",
        f"  name: {entry.name}",
    ]
    # below a default that is written in one line the table has what else a user may write there
    opened: set[tuple[str, ...]] = {()}
    for hyper in _with_sections(table):
        if hyper.path[:-1] not in opened or hyper.default is UNSET:
            continue
        margin, text = "  " * len(hyper.path), _assigned(hyper.path[-1], hyper)
        if hyper.is_section and isinstance(hyper.default, dict) and hyper.default:
            # what is in it follows on lines of its own
            opened.add(hyper.path)
            text = f"{hyper.path[-1]}:"
        text += _COMMENT if hyper.unit else ""
        # the text may have several lines: that of a long list has
        lines += [*wrapped(_meaning(hyper), _WIDEST, margin + "# "), indent(text, margin)]
    return "\n".join(lines)


# ---- the parts of a description


def _head(entry: ArchitectureEntry, width: int) -> Iterator[str]:
    life_cycle = stage_of(entry.name, entry.distribution)
    since = f" since {life_cycle.since}" if life_cycle.since else ""
    people = [f"{person} ({handle})" if handle else person for person, handle in entry.maintainers]
    facts = {
        "architecture": f"{entry.name} ({life_cycle.stage}{since})",
        "distribution": f"{entry.distribution} {entry.version}",
        "summary": entry.summary or "none",
        "maintainers": ", ".join(people) or "not stated",
    }
    if entry.error is not None:
        yield from labelled([*facts.items(), ("BROKEN", entry.error)], width)
        return
    yield from labelled(facts.items(), width)
    assert entry.folder is not None
    references = read_references(entry.folder)
    if references:
        yield "references"
        rows = [
            (f"of the {section}", item) for section, items in references.items() for item in items
        ]
        yield from labelled(rows, width, "  ")
    else:
        yield "references: not written out in __default_metadata__ of the model"
    if life_cycle.stage == "deprecated":
        yield str(notice(entry.name, life_cycle))


def _abilities(entry: ArchitectureEntry, width: int) -> Iterator[str]:
    if entry.capabilities is None:
        yield f"what it can do is not stated: it has no {CAPABILITIES}"
        return
    yield "what it can do"
    yield from labelled(capability_words(entry.capabilities).items(), width, "  ")


def _hypers(entry: ArchitectureEntry, width: int) -> Iterator[str]:
    """Name and default of each hyper, and below them what it may be and means.

    Whether a restart may change it is said where that is otherwise than for the section around it.
    """
    unchecked = f" (unchecked: it has no {SCHEMA})" if entry.schema is None else ""
    yield f"hypers, below 'architecture' of an options file{unchecked}"
    states: dict[tuple[str, ...], str] = {}
    for hyper in hyper_table(entry):
        states[hyper.path] = hyper.at_restart
        around = states.get(hyper.path[:-1], "fixed")
        restart = "" if hyper.at_restart == around else _AT_RESTART[hyper.at_restart]
        # the default of a section is that of what is in it, which has lines of its own
        without = hyper.is_section or hyper.default is UNSET
        unit = f" {_DEFAULT_UNIT}" if hyper.unit else ""
        yield f"  {hyper.name}" if without else f"  {_assigned(hyper.name, hyper)}{unit}"
        yield from wrapped(f"{_meaning(hyper)} {restart}".strip(), width, " " * 6)


# ---- the section of an options file


def _with_sections(table: list[Hyper]) -> Iterator[Hyper]:
    """The table with a line for ``model`` and for ``training``."""
    for section in ("model", "training"):
        below = [hyper for hyper in table if hyper.path[0] == section]
        default = {hyper.path[1]: hyper.default for hyper in below if len(hyper.path) == 2}
        yield Hyper(
            (section,), "", "", default, "", is_section=True, of_engine=False, at_restart="fixed"
        )
        yield from below


# ---- words


_AT_RESTART = {
    "free": "Free at a restart.",
    "on_request": "At a restart with --allow-changes.",
    "fixed": "Fixed at a restart.",
}


_DEFAULT_UNIT = "angstrom"
_COMMENT = f"  # {_DEFAULT_UNIT}"
_LENGTHS = (
    f"# Lengths are in length_unit of the data: where that is not {_DEFAULT_UNIT}, convert them,",
    "# or leave them out: then mt does.",
)


def _assigned(name: str, hyper: Hyper) -> str:
    return f"{name}: {dump_inline(hyper.default)}"


def _meaning(hyper: Hyper) -> str:
    """Its description and what it may be: ``Layers. Takes a whole number, at least 1.``"""
    if hyper.is_section and hyper.kind in ("", "a mapping"):
        return hyper.description
    # of text only choices are bounds, and they say that it is text
    parts = (hyper.bounds,) if hyper.kind == "text" and hyper.bounds else (hyper.kind, hyper.bounds)
    # what a user writes; the default is converted to it
    unit = "in length_unit of the data" if hyper.unit else ""
    takes = ", ".join(filter(None, (*parts, unit)))
    # a list in words may end with dots of its own
    end = "" if takes.endswith(".") else "."
    return f"{hyper.description} Takes {takes}{end}".strip()
