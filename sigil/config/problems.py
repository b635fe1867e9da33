"""What is wrong with a configuration, in words that contain no secret from it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sigil.config.paths import KeyPath, format_path
from sigil.config.schema import PATTERNS
from sigil.config.schema.lookup import list_fields

# By pydantic's type of error (https://docs.pydantic.dev/latest/errors/validation_errors/).
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
# These come from `sigil.config.schema.values`, whose messages are fit to be shown.
_OWN = frozenset(
    {"not_a_flag", "secret_empty", "redis_url", "redis_url_parts", "network", "secret_form"}
)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong at one path."""

    path: KeyPath
    text: str

    def __str__(self) -> str:
        return f"{format_path(self.path)}: {self.text}" if self.path else self.text


def find_close(word: str, known: Iterable[str], at_least: float = 0.6) -> str | None:
    """The known word that was probably meant, if one is close: `at_least` is the share of letters
    that both have in order, where 1 is the same word."""
    close = difflib.get_close_matches(word.lower(), sorted(known), n=1, cutoff=at_least)
    return close[0] if close else None


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'pairing'?`, or "" if no known word is close."""
    close = find_close(word, known)
    return "" if close is None else f"; did you mean '{close}'?"


def translate_errors(error: ValidationError) -> Iterator[Problem]:
    """Says pydantic's findings in words of our own, since its messages repeat the input."""
    for item in error.errors(include_url=False, include_input=False):
        path = tuple(item["loc"])
        if path and path[-1] == "[key]":
            path = path[:-1]
        yield Problem(path, _describe_error(item["type"], item["msg"], item.get("ctx", {}), path))


def _describe_error(kind: str, message: str, context: Mapping[str, Any], path: KeyPath) -> str:
    if kind in _OWN:
        return message
    if kind == "extra_forbidden":
        return f"unknown key{suggest(str(path[-1]), list_fields(path[:-1]))}"
    if kind == "string_pattern_mismatch":
        return PATTERNS[context["pattern"]]
    words = _WORDS.get(kind)
    return words.format_map(context) if words else f"is not valid ({kind})"
