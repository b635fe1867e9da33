"""JSON that nobody has checked: every field may be missing or of another type."""

from __future__ import annotations

import json
from typing import Any, NoReturn

Json = dict[str, Any]


def read_object(value: object) -> Json:
    """The fields of a JSON object; none if it is something else."""
    return value if isinstance(value, dict) else {}


def read_list(value: object) -> list[Any]:
    """The elements of a JSON array; none if it is something else."""
    return value if isinstance(value, list) else []


def read_text(value: object) -> str:
    """A JSON string; an empty one if it is something else."""
    return value if isinstance(value, str) else ""


def parse_json(text: str) -> Any:
    """Parses what a model wrote. Raises `ValueError`, also for NaN and Infinity: Python takes
    them, JSON has neither, so they could not be sent back."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
