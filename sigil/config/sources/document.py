"""Reads a YAML file as plain data, with the line of each value.

It reads only the JSON-like core of YAML. A scalar becomes a number only if that loses nothing:
YAML 1.1 would turn `+15551234567`, `0123`, `1_000` and `12:30` into other numbers, and here they
stay text. Ids of chats and people often look like this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from sigil.config.paths import KeyPath, format_path
from sigil.errors import ConfigError

MAX_BYTES = 256 * 1024
MAX_VALUES = 20_000
MAX_DEPTH = 24

_TAG = "tag:yaml.org,2002:"
_BOOL, _NULL, _INT, _FLOAT, _STR = (_TAG + t for t in ("bool", "null", "int", "float", "str"))
_TAGS = frozenset({_BOOL, _NULL, _INT, _FLOAT, _STR, f"{_TAG}map", f"{_TAG}seq"})


@dataclass(frozen=True)
class Document:
    """The data of a file and, for each path in it, the line (from 1) where it starts."""

    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """Knows the scalars of YAML 1.2's core, except those that would not come out as written."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # yaml declares it so


for _tag, _pattern, _first in (
    (_BOOL, r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    (_NULL, r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    (_INT, r"^(?:0|-?[1-9][0-9]{0,17})$", "-0123456789"),
    (_FLOAT, r"^-?(?:0|[1-9][0-9]{0,7})\.(?:0|[0-9]{0,6}[1-9])$", "-0123456789"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


def parse_document(raw: bytes, name: str) -> Document:
    """Reads the bytes of a configuration file called `name`.

    Raises `ConfigError` with the line: too large, not UTF-8, not YAML, a key given twice, not a
    mapping, or nested too deeply. No message repeats a value.
    """
    text = _decode(raw, name)
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _translate_syntax_error(error, name) from None
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
            f"{name}:{_line_of(node)}: the file must be a mapping of sections.",
            hint="Write `section:` lines, such as `gateway:`; `sigil config init` shows how.",
        )
    document.data.update(_Converter(name, document.lines).convert_mapping(node, ()))
    return document


def parse_scalar(text: str) -> Any:
    """Reads one value in YAML's flow style, as given in a variable. Raises `ConfigError`."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError):
        raise ConfigError("is not a YAML value.") from None
    return None if node is None else _Converter("", {}).convert(node, ())


def _decode(raw: bytes, name: str) -> str:
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name}: has more than {MAX_BYTES // 1024} KiB; is it the right file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: is not valid UTF-8.") from None


def _translate_syntax_error(error: yaml.MarkedYAMLError, name: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}" if mark is not None else name
    problem = error.problem or "cannot be read"
    if "'\\t'" in problem:
        return ConfigError(f"{where}: contains a tab.", hint="Indent with spaces.")
    if "undefined alias" in problem:
        problem = "refers to an anchor that is not defined"
    return ConfigError(f"{where}: is not valid YAML: {problem}.")


def _line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _Converter:
    """Turns YAML nodes into plain data and notes their lines in `lines`.

    It counts the values, because aliases can make a small file huge: ten lines of ten aliases
    each, every one to the line before, stand for ten billion values.
    """

    def __init__(self, name: str, lines: dict[KeyPath, int]) -> None:
        self.name = name
        self.lines = lines
        self.count = 0

    def convert(self, node: yaml.Node, path: KeyPath) -> Any:
        self.count += 1
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise self.make_error(node, "holds too many or too deeply nested values")
        self.lines.setdefault(path, _line_of(node))
        if node.tag not in _TAGS:
            raise self.make_error(node, "has a YAML tag, which is not supported here")
        if isinstance(node, yaml.MappingNode):
            return self.convert_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(item, (*path, i)) for i, item in enumerate(node.value)]
        return self.convert_scalar(node)

    def convert_mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.make_error(key_node, "a key must be plain text")
            key = str(key_node.value)
            if key in first:
                where = format_path((*path, key))
                raise self.make_error(key_node, f"{where}: given twice, first in line {first[key]}")
            first[key] = _line_of(key_node)
            self.lines[(*path, key)] = first[key]
            data[key] = self.convert(value_node, (*path, key))
        return data

    def convert_scalar(self, node: yaml.Node) -> Any:
        text = str(node.value)
        try:
            if node.tag == _INT:
                return int(text)
            if node.tag == _FLOAT:
                return float(text)
        except ValueError:
            raise self.make_error(node, "is tagged as a number but is not one") from None
        if node.tag == _BOOL:
            return text.lower() == "true"
        return None if node.tag == _NULL else text

    def make_error(self, node: yaml.Node, text: str) -> ConfigError:
        return ConfigError(f"{self.name}:{_line_of(node)}: {text}." if self.name else f"{text}.")
