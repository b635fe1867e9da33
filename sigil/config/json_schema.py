"""The JSON Schema of sigil.yaml, which editors use to complete and check the file.

Pydantic's own schema describes the loaded settings. The file may hold more than that: references
to variables instead of values, numbers where ids are text, and null for "not given".
"""

from __future__ import annotations

from typing import Any

from sigil.config.schema import Settings
from sigil.config.schema.channels import CHANNEL_SETTINGS, load_settings_class

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN = frozenset({"integer", "number", "boolean", "string"})
_REFERENCE = {"$ref": "#/$defs/Reference"}


def make_json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of what may be written in the file."""
    schema = Settings.model_json_schema()
    _add_channel_types(schema)
    schema["$schema"] = DIALECT
    for section in (schema, *schema["$defs"].values()):
        required = section.get("required", ())
        section["properties"] = {
            name: _widen_setting(each, nullable=name not in required)
            for name, each in section["properties"].items()
        }
        if section is not schema:
            section["type"] = ["object", "null"]
    schema["$defs"]["Reference"] = {
        "type": "string",
        "pattern": r"\$\{",
        "description": "${NAME} or ${NAME:-default}: taken from the environment.",
    }
    return schema


def _add_channel_types(schema: dict[str, Any]) -> None:
    """Lets an entry have the settings of any type, since its type may be its name."""
    references = []
    for kind in CHANNEL_SETTINGS:
        found = load_settings_class(kind)
        own = found.model_json_schema(ref_template="#/$defs/{model}")
        schema["$defs"] |= own.pop("$defs", {}) | {found.__name__: own}
        references.append({"$ref": f"#/$defs/{found.__name__}"})
    entries = schema["properties"]["channels"]["patternProperties"]
    for names, common in entries.items():
        entries[names] = {"anyOf": [common, *references]} if references else common


def _widen_setting(field: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    """Allows references in place of plain values and, if `nullable`, null."""
    words = {name: field[name] for name in ("title", "description", "default") if name in field}
    alternatives = field.get("anyOf") or [{k: v for k, v in field.items() if k not in words}]
    alternatives = [_widen_text(each) for each in alternatives]
    if any(_is_plain(each) for each in alternatives):
        alternatives.append(_REFERENCE)
    if nullable and {"type": "null"} not in alternatives:
        alternatives.append({"type": "null"})
    return words | (alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives})


def _widen_text(field: dict[str, Any]) -> dict[str, Any]:
    """Allows whole numbers where text is expected, also in a list."""
    if field.get("type") == "array":
        item = _widen_text(field["items"])
        if _is_plain(item):
            item = {"anyOf": [item, _REFERENCE]}
        return field | {"items": item}
    if field.get("type") == "string" and not {"enum", "const", "format"} & field.keys():
        return field | {"type": ["string", "integer"]}
    return field


def _is_plain(field: dict[str, Any]) -> bool:
    types = field.get("type", ())
    return bool(_PLAIN & ({types} if isinstance(types, str) else set(types))) or "enum" in field
