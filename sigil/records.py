"""Records: what one process writes into the store as JSON and another one reads.

    {"channel_id": "42", …}                      every version reads it
    {"channel_id": "42", …, "v": 4, "min": 3}    written by version 4, for versions from 3 on

During an upgrade, processes of several versions share the store. So a reader ignores fields that it
does not know. A new field needs nothing else if whoever ignores it still does the right thing.
A field that changes what must be done raises `VERSION`, and a record in which it is set carries
`v`, the writer's version, and `min`, the lowest version that may read it. An older process raises
`RecordTooNew`, and what the record belongs to is left to a newer process (see `sigil.gateway`).

Version 1 refuses fields that it does not know, and `min` is one of them. So what was added since,
and may be ignored, lies beside the JSON that version 1 reads: see `Record.to_record`.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, ClassVar, Self

from sigil.errors import MessageInvalid, RecordTooNew

VERSION = 2
"""The version of records that this code writes, and the newest that it reads."""


def read_record(text: str | bytes) -> dict[str, Any]:
    """The fields of a JSON object, without `v` and `min`. Raises `ValueError` if it is none, and
    `RecordTooNew`."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if type(found) is not dict:
        raise ValueError("it is not a JSON object")
    if "min" in found:
        check_version(found.pop("min"))
    found.pop("v", None)
    return found


def check_version(lowest: object) -> None:
    """Raises `RecordTooNew` if `lowest`, a record's `min`, is above this process's version; and
    `ValueError` if it is no version."""
    if type(lowest) is not int:
        raise ValueError("its version is not a number")
    if lowest > VERSION:
        raise RecordTooNew(f"a record is for version {lowest}, and this process reads {VERSION}.")


def keep_known(kind: type[Any], found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `found` holds of the fields of the dataclass `kind`."""
    known = _name_fields(kind)  # type: ignore[arg-type]  # a class is hashable
    if known.keys() >= found.keys():  # nearly always
        return found
    return {name: value for name, value in found.items() if name in known}


class Record:
    """A frozen dataclass that is kept as JSON, by the names of its fields."""

    __slots__ = ()
    _field: ClassVar[str] = "body"
    """The field of an item's record that holds it."""
    _extras: ClassVar[tuple[str, ...]] = ()
    """Its fields that came after version 1; each has a default and is written only if it is set."""

    def to_json(self) -> str:
        """All that is set, as one compact JSON object."""
        first, extras = self._split()
        return _ENCODER.encode(first | extras)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The inverse of `to_json`. Unknown fields are ignored. Raises `MessageInvalid` for what
        is malformed, and `RecordTooNew`."""
        try:
            return cls._make(read_record(text))
        except _MALFORMED as error:
            raise MessageInvalid(f"the record is malformed: {error}") from error

    def to_record(self) -> dict[str, str]:
        """Its part of an item's record. Extras lie in a field of their own, at which version 1
        does not look."""
        first, extras = self._split()
        written = {self._field: _ENCODER.encode(first)}
        if extras:
            written["extras"] = _ENCODER.encode(extras)
        return written

    @classmethod
    def from_record(cls, record: Mapping[str, str]) -> Self:
        """The inverse of `to_record`. Raises what `from_json` raises. Extras that are malformed
        are left out, since the rest is worth more."""
        text, extras = record.get(cls._field, ""), record.get("extras")
        if extras is not None and cls._extras:
            with contextlib.suppress(MessageInvalid, *_MALFORMED):
                return cls._make(read_record(text) | read_record(extras))
        return cls.from_json(text)

    def _split(self) -> tuple[dict[str, Any], dict[str, Any]]:
        values = _list_fields(self)
        if not self._extras:
            return values, {}
        defaults = _name_fields(type(self))  # type: ignore[arg-type]  # a class is hashable
        extras = {name: values.pop(name) for name in self._extras}
        return values, {name: v for name, v in extras.items() if v != defaults[name]}

    @classmethod
    def _make(cls, found: dict[str, Any]) -> Self:
        return cls(**cls._revive(dict(keep_known(cls, found))))

    @classmethod
    def _revive(cls, found: dict[str, Any]) -> dict[str, Any]:
        """Makes values of what JSON has no form for."""
        return found


_MALFORMED = (ValueError, TypeError, AttributeError)


@functools.cache
def _name_fields(kind: type[Any]) -> dict[str, Any]:
    """The names of the fields and their defaults."""
    return {field.name: field.default for field in fields(kind)}


def _list_fields(value: object) -> dict[str, Any]:
    # `dataclasses.asdict` copies every value deeply, which costs more than all the JSON.
    names = _name_fields(type(value))  # type: ignore[arg-type]  # a class is hashable
    return {name: getattr(value, name) for name in names}


def _write_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    values, defaults = _list_fields(value), _name_fields(type(value))  # type: ignore[arg-type]  # a class is hashable
    added = getattr(value, "_extras", ())
    return {n: v for n, v in values.items() if n not in added or v != defaults[n]}


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_write_value)
