"""The one YAML loader: scalars of YAML 1.2, no duplicate keys, no code, no interpolation.

PyYAML follows YAML 1.1, where ``1e-3`` is text and ``No`` is false; the core schema of YAML 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema) has the numbers and the nitrogen that users mean.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from mt_shared.errors import OptionsError
from mt_shared.options.faults import KeyPath

_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?[0-9]+$|0o[0-7]+$|0x[0-9a-fA-F]+$")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"
    r"|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
)
_BOOLEAN = re.compile(r"(true|True|TRUE|false|False|FALSE)$")
_NULL = re.compile(r"(null|Null|NULL|~|)$")
_MERGE = re.compile(r"<<$")


class _Loader(yaml.SafeLoader):
    pass


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _use_yaml_1_2() -> None:
    # The dumper keeps the rules of YAML 1.1 too: text that other programs would misread is quoted.
    _Loader.yaml_implicit_resolvers = {}
    for tag, pattern, first in (
        ("null", _NULL, ["~", "n", "N", ""]),
        ("bool", _BOOLEAN, list("tTfF")),
        ("int", _INTEGER, list("-+0123456789")),
        ("float", _FLOAT, list("-+.0123456789")),
        ("merge", _MERGE, ["<"]),
    ):
        _Loader.add_implicit_resolver(_TAG + tag, pattern, first)
        _Dumper.add_implicit_resolver(_TAG + tag, pattern, first)


_use_yaml_1_2()


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file; errors name the file, the line and the column.

    :raises OptionsError: the file is missing, cannot be read or is not YAML as described above
    """
    return load_yaml(read_text(path), str(path))


def read_text(path: str | Path) -> str:
    """The text of an options file.

    :raises OptionsError: the file is missing, cannot be read or is not UTF-8 text
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise OptionsError(f"{path}: is not a text file in UTF-8 ({error.reason})") from error
    except FileNotFoundError as error:
        raise OptionsError(f"{path}: there is no such file") from error
    except OSError as error:
        raise OptionsError(f"{path}: cannot be read: {error.strerror}") from error


def load_yaml(text: str, source: str) -> Any:
    """Plain Python values of a YAML document; ``source`` names it in errors.

    :raises OptionsError: a syntax error, a duplicate key, a tag, an interpolation ``${...}``
    """
    node = _compose(text, source)
    return None if node is None else _Builder(source).value(node)


def line_numbers(text: str, source: str) -> dict[KeyPath, str]:
    """For each value of a YAML document ``line N``, to be shown beside faults."""
    node = _compose(text, source)
    return {} if node is None else dict(_lines(node, (), frozenset()))


def dump_yaml(value: Any) -> str:
    """YAML text that :func:`load_yaml` turns into the same value."""
    return yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )


def dump_inline(value: Any) -> str:
    """The same without line breaks, to follow a key."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=True,
        width=1e9,
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _compose(text: str, source: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        what = "; ".join(part for part in (error.context, error.problem) if part)
        raise OptionsError(f"{place}: this is not valid YAML: {what}") from error
    except yaml.YAMLError as error:
        raise OptionsError(f"{source}: this is not valid YAML: {error}") from error


class _Builder:
    """Turns the nodes of one document into values."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._open: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise self._error(node, "an alias (*name) refers to the value that contains it")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                self._check_tag(node, "map")
                return self._mapping(node)
            self._check_tag(node, "seq")
            return [self.value(item) for item in node.value]
        finally:
            self._open.remove(id(node))

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        first: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                merged = {**self._merged(value_node), **merged}
                continue
            key = self._key(key_node)
            if key in first:
                line = first[key].start_mark.line + 1
                raise self._error(key_node, f"duplicate key '{key}', already in line {line}")
            first[key] = key_node
            own[key] = self.value(value_node)
        return {**merged, **own}

    def _merged(self, node: yaml.Node) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                raise self._error(part, "a merge key (<<) takes a mapping or a list of mappings")
            merged = {**self.value(part), **merged}
        return merged

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a key must be a single word or number")
        self._scalar(node)
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = node.value
        if "${" in text:
            name = text[text.index("${") :].split("}")[0] + "}"
            raise self._error(
                node, f"the interpolation '{name}' is not supported: write the value itself"
            )
        kind = self._check_tag(node, "str", "int", "float", "bool", "null")
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


def _read_integer(text: str) -> int:
    if text.startswith(("0o", "0x")):
        return int(text, base=0)
    return int(text)


def _read_float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_READ_SCALAR: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": _read_integer,
    "float": _read_float,
    "bool": lambda text: text.lower() == "true",
    "null": lambda text: None,
}


def _lines(node: yaml.Node, path: KeyPath, above: frozenset[int]) -> Iterator[tuple[KeyPath, str]]:
    if id(node) in above:  # an alias to itself: load_yaml refuses it
        return
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            below = (*path, str(key_node.value))
            yield below, f"line {key_node.start_mark.line + 1}"
            yield from _lines(value_node, below, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), f"line {item.start_mark.line + 1}"
            yield from _lines(item, (*path, index), above)


def plain(value: Any) -> Any:
    """The same values as a YAML file would give: text keys, lists, no paths or tuples.

    For options that come from Python instead of a file.

    :raises OptionsError: a value that a YAML file cannot hold
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise OptionsError(
        f"options: found {value!r} of type {type(value).__name__}, expected plain values "
        "(text, numbers, booleans, None, lists, dictionaries)"
    )
