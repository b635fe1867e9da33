"""A YAML file as plain data, with the line of each value.

Only YAML's JSON-like core is read. Scalars become numbers only where nothing is lost by it:
`+15551234567`, `0123`, `1_000` and `12:30`, which YAML 1.1 turns into other numbers, stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from sigil.errors import ConfigError

MAX_BYTES = 256 * 1024
MAX_VALUES = 20_000
MAX_DEPTH = 24

KeyPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_BOOL, _NULL, _INT, _FLOAT, _STR = (_TAG + t for t in ("bool", "null", "int", "float", "str"))
_TAGS = frozenset({_BOOL, _NULL, _INT, _FLOAT, _STR, f"{_TAG}map", f"{_TAG}seq"})


@dataclass(frozen=True)
class Document:
    """What a file says: `data` and, for each path in it, the line (from 1) where it starts."""

    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """Composes nodes with the scalars of YAML 1.2's core, less what would not round-trip."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # yaml declares it so


for _tag, _pattern, _first in (
    (_BOOL, r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    (_NULL, r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    (_INT, r"^(?:0|-?[1-9][0-9]{0,17})$", "-0123456789"),
    (_FLOAT, r"^-?(?:0|[1-9][0-9]{0,7})\.(?:0|[0-9]{0,6}[1-9])$", "-0123456789"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


def parse(raw: bytes, name: str) -> Document:
    """Reads a configuration file's bytes. `name` is the file's, for messages.

    Raises `ConfigError`, which says where: too large, not UTF-8, not YAML, a key given twice,
    not a mapping, or too much nested. No message repeats a value.
    """
    text = _decoded(raw, name)
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, name) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{name}:{line}: contains a control character.") from None
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply.") from None
    document = Document()
    if node is None or node.tag == _NULL:
        return document
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            f"{name}:{_line(node)}: the file must be a mapping of sections.",
            hint="Write `section:` lines, such as `gateway:`; `sigil config init` shows how.",
        )
    document.data.update(_Converter(name, document.lines).mapping(node, ()))
    return document


def scalar(text: str) -> Any:
    """One value in YAML's flow style, as given in a variable. Raises `ConfigError`."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError):
        raise ConfigError("is not a YAML value.") from None
    return None if node is None else _Converter("", {}).value(node, ())


def _decoded(raw: bytes, name: str) -> str:
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name}: has more than {MAX_BYTES // 1024} KiB; is it the right file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: is not valid UTF-8.") from None


def _syntax(error: yaml.MarkedYAMLError, name: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}" if mark is not None else name
    problem = error.problem or "cannot be read"
    if "'\\t'" in problem:
        return ConfigError(f"{where}: contains a tab.", hint="Indent with spaces.")
    if "undefined alias" in problem:
        problem = "refers to an anchor that is not defined"
    return ConfigError(f"{where}: is not valid YAML: {problem}.")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _Converter:
    """From nodes to data. Counts values, so that aliases cannot blow a small file up."""

    def __init__(self, name: str, lines: dict[KeyPath, int]) -> None:
        self.name = name
        self.lines = lines
        self.seen = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.seen += 1
        if self.seen > MAX_VALUES or len(path) > MAX_DEPTH:
            raise self.error(node, "holds too many or too deeply nested values")
        self.lines.setdefault(path, _line(node))
        if node.tag not in _TAGS:
            raise self.error(node, "has a YAML tag, which is not supported here")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self.plain(node)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        return dict(self.pairs(node, path))

    def pairs(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, Any]]:
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.error(key_node, "a key must be plain text")
            key = str(key_node.value)
            if key in first:
                dotted = ".".join(map(str, (*path, key)))
                raise self.error(key_node, f"{dotted}: given twice, first in line {first[key]}")
            first[key] = _line(key_node)
            self.lines[(*path, key)] = first[key]
            yield key, self.value(value_node, (*path, key))

    def plain(self, node: yaml.Node) -> Any:
        text = str(node.value)
        try:
            if node.tag == _INT:
                return int(text)
            if node.tag == _FLOAT:
                return float(text)
        except ValueError:
            raise self.error(node, "is tagged as a number but is none") from None
        if node.tag == _BOOL:
            return text.lower() == "true"
        return None if node.tag == _NULL else text

    def error(self, node: yaml.Node, text: str) -> ConfigError:
        return ConfigError(f"{self.name}:{_line(node)}: {text}." if self.name else f"{text}.")
