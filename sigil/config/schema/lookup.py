"""Which type of value the settings have at a path."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from sigil.config.paths import KeyPath
from sigil.config.schema.channels import ChannelSettings, list_settings_classes
from sigil.config.schema.settings import Settings


def split_type(annotation: Any) -> Iterator[Any]:
    """The alternatives of a type: `Annotated` and unions are taken apart, None is left out."""
    if hasattr(annotation, "__metadata__"):
        yield from split_type(annotation.__origin__)
    elif get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            yield from split_type(each)
    elif annotation is ChannelSettings:
        yield from list_settings_classes()
    elif annotation is not type(None):
        yield annotation


def find_child_type(annotation: Any, key: str | int) -> Any:
    """The type that a value under this key has; None if the type has no such key."""
    for each in split_type(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            if isinstance(key, str) and key in each.model_fields:
                return each.model_fields[key].annotation
        elif get_origin(each) in (dict, list):
            return get_args(each)[-1]
        elif each is Any:
            return Any
    return None


def list_fields(path: KeyPath) -> list[str]:
    """The names of the settings in the section at this path; empty if it is not a section."""
    annotation: Any = Settings
    for key in path:
        annotation = find_child_type(annotation, key)
    fields: dict[str, None] = {}
    for each in split_type(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            fields |= dict.fromkeys(each.model_fields)
    return list(fields)
