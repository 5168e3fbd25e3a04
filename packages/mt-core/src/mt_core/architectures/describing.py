"""``mt describe``: what an architecture is, what it can do, and every hyper.

All of it is read off metadata, data files and source; nothing is imported, so that a package whose
dependencies are missing is described as well, and a broken one with its error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import indent, wrap

from mt_core.architectures.capability_words import capability_words
from mt_core.architectures.lifecycle import LifeCycle, find_entry, first_party, notice, stage_of
from mt_core.console import terminal_width
from mt_shared.options import UNSET, Hyper, dump_inline, hyper_table
from mt_shared.registry import CAPABILITIES, SCHEMA, ArchitectureEntry, look_up, read_references

_WIDEST = 100


def describe(name: str, defaults: bool = False) -> str:
    """What is known of an installed architecture.

    :param defaults: instead, a complete section ``architecture`` of an options file, with comments
    :raises ArchitectureError: it is not installed; or ``defaults`` are asked of a broken one
    """
    if defaults:
        return default_options(find_entry(name))
    entry = look_up(name, known=first_party())
    width = min(terminal_width(_WIDEST), _WIDEST)
    parts = [_head(entry, width)]
    if entry.error is None:
        parts += [_abilities(entry, width), _hypers(entry, width)]
    return "\n\n".join(parts)


def default_options(entry: ArchitectureEntry) -> str:
    """The section ``architecture`` with every default, each explained in a comment."""
    lines = [
        f"# {entry.name} of {entry.distribution} {entry.version}: every hyper at its default.",
        "# What stays as it is may be left out.",
        "architecture:",
        f"  name: {entry.name}",
    ]
    shown: set[tuple[str, ...]] = {()}
    for hyper in _with_sections(hyper_table(entry)):
        if hyper.path[:-1] in shown and hyper.default is not UNSET:
            lines += _commented(hyper)
            if _is_opened(hyper):
                shown.add(hyper.path)
    return "\n".join(lines)


# ---- the parts of a description


def _head(entry: ArchitectureEntry, width: int) -> str:
    life_cycle = stage_of(entry.name, entry.distribution)
    facts = {
        "architecture": f"{entry.name} ({_stage(life_cycle)})",
        "distribution": f"{entry.distribution} {entry.version}",
        "summary": entry.summary or "none",
        "maintainers": ", ".join(_person(*each) for each in entry.maintainers) or "not stated",
    }
    if entry.error is not None:
        return _table(facts | {"BROKEN": entry.error}, width)
    lines = [_table(facts, width), _references(entry, width)]
    if life_cycle.stage == "deprecated":
        lines.append(str(notice(entry.name, life_cycle)))
    return "\n".join(lines)


def _stage(life_cycle: LifeCycle) -> str:
    return f"{life_cycle.stage} since {life_cycle.since}" if life_cycle.since else life_cycle.stage


def _person(person: str, handle: str) -> str:
    return f"{person} ({handle})" if handle else person


def _references(entry: ArchitectureEntry, width: int) -> str:
    assert entry.folder is not None
    found = read_references(entry.folder)
    if not found:
        return "references: not written out in __default_metadata__ of the model"
    rows = [(f"of the {section}", item) for section, items in found.items() for item in items]
    return "references\n" + indent("\n".join(_rows(rows, width - 2)), "  ")


def _abilities(entry: ArchitectureEntry, width: int) -> str:
    if entry.capabilities is None:
        return f"what it can do is not stated: it has no {CAPABILITIES}"
    words = _table(capability_words(entry.capabilities), width - 2)
    return "what it can do\n" + indent(words, "  ")


def _hypers(entry: ArchitectureEntry, width: int) -> str:
    unchecked = f" (unchecked: it has no {SCHEMA})" if entry.schema is None else ""
    lines = [f"hypers, below 'architecture' of an options file{unchecked}"]
    for hyper in hyper_table(entry):
        lines += _hyper(hyper, width)
    return "\n".join(lines)


def _hyper(hyper: Hyper, width: int) -> Iterator[str]:
    """Name and default, and below them what it may be and means."""
    without = hyper.is_section or hyper.default is UNSET
    yield f"  {hyper.name}" if without else f"  {_assigned(hyper.name, hyper)}"
    hang = " " * 6
    yield from _wrapped(_meaning(hyper), width, hang)


# ---- the section of an options file


def _with_sections(table: list[Hyper]) -> Iterator[Hyper]:
    """The table with a line for ``model`` and for ``training``."""
    for section in ("model", "training"):
        below = [hyper for hyper in table if hyper.path[0] == section]
        default = {hyper.path[1]: hyper.default for hyper in below if len(hyper.path) == 2}
        yield Hyper((section,), "", "", default, "", is_section=True, of_engine=False)
        yield from below


def _commented(hyper: Hyper) -> Iterator[str]:
    margin = "  " * len(hyper.path)
    comment = margin + "# "
    yield from _wrapped(_meaning(hyper), _WIDEST, comment)
    text = f"{hyper.path[-1]}:" if _is_opened(hyper) else _assigned(hyper.path[-1], hyper)
    yield indent(text, margin)


def _is_opened(hyper: Hyper) -> bool:
    """Whether what is in it follows on lines of their own."""
    return hyper.is_section and isinstance(hyper.default, dict) and bool(hyper.default)


# ---- words


def _assigned(name: str, hyper: Hyper) -> str:
    return f"{name}: {dump_inline(hyper.default)}"


def _meaning(hyper: Hyper) -> str:
    """Its description and what it may be: ``Layers. Takes a whole number, at least 1.``"""
    if hyper.is_section and hyper.kind in ("", "a mapping"):
        return hyper.description
    # of text only choices are bounds, and they say that it is text
    parts = (hyper.bounds,) if hyper.kind == "text" and hyper.bounds else (hyper.kind, hyper.bounds)
    return f"{hyper.description} Takes {', '.join(filter(None, parts)).rstrip('.')}.".strip()


def _table(facts: dict[str, str], width: int) -> str:
    return "\n".join(_rows(facts.items(), width))


def _rows(facts: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """A label and what it says, broken into lines, one below the other."""
    facts = list(facts)
    hang = " " * (max(len(label) for label, _ in facts) + 2)
    for label, fact in facts:
        first, *others = _wrapped(fact, width, hang)
        yield from [label.ljust(len(hang)) + first[len(hang) :], *others]


def _wrapped(text: str, width: int, margin: str) -> list[str]:
    return wrap(
        text,
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
