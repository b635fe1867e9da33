"""What is wrong with a configuration, in words that contain no secret from it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from sigil.config.document import KeyPath
from sigil.config.schema import Settings
from sigil.config.types import PATTERNS

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "list_type": "must be a list",
    "literal_error": "must be one of {expected}",
    "string_too_short": "is empty",
    "string_too_long": "has more than {max_length} characters",
    "too_long": "has more than {max_length} entries",
    "path_type": "must be a path",
}
_OWN = frozenset({"not_a_flag", "secret_empty", "redis_url", "redis_url_parts"})
_UNIONS = (Union, UnionType)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong at one path."""

    path: KeyPath
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.text}" if self.path else self.text


def dotted(path: Iterable[str | int]) -> str:
    """`("bindings", 0, "channel")` as people write it: `bindings[0].channel`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += f".{part}" if out else part
    return out


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'pairing'?`, or nothing if no known word is close."""
    close = difflib.get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def parts(annotation: Any) -> Iterator[Any]:
    """The alternatives of a type with `Annotated` and unions taken apart, without None."""
    if hasattr(annotation, "__metadata__"):
        yield from parts(annotation.__origin__)
    elif get_origin(annotation) in _UNIONS:
        for each in get_args(annotation):
            yield from parts(each)
    elif annotation is not type(None):
        yield annotation


def child(annotation: Any, key: str | int) -> Any:
    """The type found under a key of this type; None where no such key can be."""
    for each in parts(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            if isinstance(key, str) and key in each.model_fields:
                return each.model_fields[key].annotation
        elif get_origin(each) in (dict, list):
            return get_args(each)[-1]
        elif each is Any:
            return Any
    return None


def fields_at(path: KeyPath) -> list[str]:
    """The names of the settings in the section at this path; none if it is no section."""
    annotation: Any = Settings
    for key in path:
        annotation = child(annotation, key)
    for each in parts(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return list(each.model_fields)
    return []


def from_validation(error: ValidationError) -> Iterator[Problem]:
    """Pydantic's findings in words of our own, since its messages repeat the input."""
    for item in error.errors(include_url=False, include_input=False):
        path = tuple(item["loc"])
        if path and path[-1] == "[key]":
            path = path[:-1]
        yield Problem(path, _text(item["type"], item["msg"], item.get("ctx", {}), path))


def _text(kind: str, message: str, context: Mapping[str, Any], path: KeyPath) -> str:
    if kind in _OWN:
        return message
    if kind == "extra_forbidden":
        return f"unknown key{suggestion(str(path[-1]), fields_at(path[:-1]))}"
    if kind == "string_pattern_mismatch":
        return PATTERNS[context["pattern"]]
    words = _WORDS.get(kind)
    return words.format_map(context) if words else f"is not valid ({kind})"
