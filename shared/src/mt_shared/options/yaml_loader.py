"""The one YAML loader: scalars of YAML 1.2, no duplicate keys, no code, no interpolation.

PyYAML follows YAML 1.1, where ``1e-3`` is text and ``No`` is false; the core schema of YAML 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema) has the numbers and the nitrogen that users mean.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mt_shared.errors import OptionsError, shortened
from mt_shared.options.faults import KeyPath
from mt_shared.user_files import EMPTY, OPTIONS, kind_of, missing, mistaken, not_utf8

_TAG = "tag:yaml.org,2002:"
_FLOAT = (
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"
    r"|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
)
# What plain text stands for: a tag, the pattern, and the characters that such text begins with.
# The first pattern that fits wins, so that 12 is an integer although it would pass for a float.
_SCALARS = (
    ("null", r"(null|Null|NULL|~|)$", ["~", "n", "N", ""]),
    ("bool", r"(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"[-+]?[0-9]+$|0o[0-7]+$|0x[0-9a-fA-F]+$", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("merge", r"<<$", ["<"]),
)


_NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
# What text processors and web pages make of quotes and blanks: YAML takes them for letters.
_TYPOGRAPHIC = "\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u200b\ufeff" + _NO_BREAK_SPACE


class _Loader(yaml.SafeLoader):
    pass


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


# Emptied, since it inherits the rules of YAML 1.1.
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_TAG + _tag, re.compile(_pattern), _first)
    # The dumper keeps the rules of YAML 1.1 too: text that other programs would misread is quoted.
    _Dumper.add_implicit_resolver(_TAG + _tag, re.compile(_pattern), _first)


def read_yaml(path: str | Path, expected: str = "text in YAML") -> Any:
    """Read a YAML file; errors name the file, the line and the column.

    :param expected: what it should be, for a file that is something else
    """
    return read_with_lines(path, expected)[0]


def read_with_lines(path: str | Path, expected: str) -> tuple[Any, dict[KeyPath, str]]:
    """The same, and for each value in it ``line N``, to be shown beside faults."""
    return load_with_lines(_read_text(path, expected), str(path))


def _read_text(path: str | Path, expected: str) -> str:
    try:
        kind = kind_of(path)
        if kind not in (None, EMPTY, OPTIONS):
            raise OptionsError(mistaken(path, expected, kind))
        # Windows' editor puts a mark before the text
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise OptionsError(not_utf8(path)) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise OptionsError(missing(path)) from error
    except OSError as error:
        raise OptionsError(f"{path}: cannot be read: {error.strerror}") from error


def load_yaml(text: str, source: str) -> Any:
    """Plain Python values of a YAML document; ``source`` names it in errors."""
    return load_with_lines(text, source)[0]


def load_with_lines(text: str, source: str) -> tuple[Any, dict[KeyPath, str]]:
    """The same, and for each value in it ``line N``, to be shown beside faults."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        what = "; ".join(part for part in (error.context, error.problem) if part)
        advice = _advice(text.splitlines(), mark.line, mark.column) if mark else ""
        raise OptionsError(f"{place}: this is not valid YAML: {what}{advice}") from error
    except yaml.YAMLError as error:
        raise OptionsError(f"{source}: this is not valid YAML: {error}") from error
    builder = _Builder(source)
    return None if node is None else builder.value(node, ()), builder.lines


def _advice(lines: list[str], line: int, column: int) -> str:
    """What is usually behind a fault that YAML has met at this place, or nothing."""
    at = lines[line] if line < len(lines) else ""
    if at[column : column + 1] == "\t":
        return " (a tab: indent with blanks)"
    special = at[column - 1 : column] if at[:column].endswith("*") else at[column : column + 1]
    if special and special in "*@`%":
        return f" (put a value that begins with {special} in quotes)"
    if "${" in at:
        return " (variables are not filled in: write the value itself)"
    # a line that lacks its blank is at fault when the next one begins
    for number in range(line, max(line - 2, -1), -1):
        here = lines[number] if number < len(lines) else ""
        if _NO_BREAK_SPACE in here:
            return f" (line {number + 1} has blanks of a web page, U+00A0: type them anew)"
        glued = re.match(r"\s*(?:- )?([\w-]+:)(?=[^\s:])", here)
        if glued:
            return f" (line {number + 1} lacks a blank after '{glued[1]}')"
    if at and not at[:column].strip():
        return " (is the line indented like those beside it?)"
    return ""


def dump_yaml(value: Any, units: Mapping[KeyPath, str] | None = None) -> str:
    """YAML text that :func:`load_yaml` turns into the same value.

    :param units: of values that have one, which go into comments
    """
    text = _dump(value, default_flow_style=None, width=100)
    if not units:
        return text
    _, places = load_with_lines(text, "")
    comments: dict[int, list[str]] = {}
    for path, unit in units.items():
        # mappings of plain values stand on one line
        line = int(places[path].removeprefix("line ")) - 1
        comments.setdefault(line, []).append(f"{path[-1]} in {unit}")
    lines = text.splitlines()
    for line, of_line in comments.items():
        lines[line] += f"  # {', '.join(of_line)}"
    return "\n".join([*lines, ""])


def dump_inline(value: Any) -> str:
    """The same on one line, to follow a key."""
    # "..." ends a document that is a single scalar.
    return _dump(value, default_flow_style=True, width=1e9).removesuffix("\n").removesuffix("\n...")


def _dump(value: Any, **style: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **style)
    return text


class _Builder:
    """Turns the nodes of one document into values, and keeps the line of each.

    PyYAML's own constructor would turn keys into numbers, let the last of two equal keys win, and
    make dates and sets of what a tag asks for.
    """

    def __init__(self, source: str) -> None:
        self.lines: dict[KeyPath, str] = {}
        self._source = source
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        # The node of an alias is the very node of its anchor.
        if id(node) in self._open:
            raise self._error(node, "an alias (*name) refers to the value that contains it")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                self._check_tag(node, "map")
                return self._mapping(node, path)
            self._check_tag(node, "seq")
            values = []
            for index, item in enumerate(node.value):
                at = (*path, index)
                self.lines[at] = f"line {item.start_mark.line + 1}"
                values.append(self.value(item, at))
            return values
        finally:
            self._open.remove(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                # The first of several merged mappings wins, and the own keys over all of them.
                merged = {**self._merged(value_node, (*path, "<<")), **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, "a key must be a single word or number")
            self._scalar(key_node)
            key = str(key_node.value)
            at = (*path, key)
            if key in own:
                message = f"duplicate key '{key}', already in {self.lines[at]}"
                raise self._error(key_node, message)
            self.lines[at] = f"line {key_node.start_mark.line + 1}"
            own[key] = self.value(value_node, at)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for part in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(part, yaml.MappingNode):
                raise self._error(part, "a merge key (<<) takes a mapping or a list of mappings")
            merged = {**self.value(part, path), **merged}
        return merged

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = node.value
        if "${" in text:
            name = text[text.index("${") :].split("}")[0] + "}"
            raise self._error(
                node, f"the interpolation '{name}' is not supported: write the value itself"
            )
        if node.style is None and text.strip(_TYPOGRAPHIC) != text:
            odd = next(each for each in text if each in _TYPOGRAPHIC)
            message = (
                f"{shortened(text)} begins or ends with {odd!r} (U+{ord(odd):04X}), as in text of "
                "web pages: type quotes and blanks anew, or put the value in plain quotes"
            )
            raise self._error(node, message)
        kind = self._check_tag(node, *_READ_SCALAR)
        try:
            return _READ_SCALAR[kind](text)
        except ValueError:
            raise self._error(node, f"'{text}' does not fit its tag !!{kind}") from None

    def _check_tag(self, node: yaml.Node, *allowed: str) -> str:
        kind = str(node.tag).removeprefix(_TAG)
        if kind not in allowed:
            raise self._error(node, f"the tag '{node.tag}' is not allowed: write plain values")
        return kind

    def _error(self, node: yaml.Node, message: str) -> OptionsError:
        mark = node.start_mark
        return OptionsError(f"{self._source}:{mark.line + 1}:{mark.column + 1}: {message}")


_READ_SCALAR: dict[str, Callable[[str], Any]] = {
    "str": str,
    # Base 0 reads the prefix, but refuses 012, which is twelve in YAML 1.2.
    "int": lambda text: int(text, base=0 if text.startswith(("0o", "0x")) else 10),
    "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    "bool": lambda text: text.lower() == "true",
    "null": lambda text: None,
}
