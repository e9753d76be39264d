"""Checks plain JSON values against ``model.schema.json``.

Understands the part of JSON Schema (draft 2020-12) that this file uses, so that the published schema and what Med3D
accepts cannot drift apart, and nothing needs to be installed in Slicer. A test compares it with the jsonschema package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA_FILE = Path(__file__).with_name("model.schema.json")

_TYPES = {
    "object": ("an object", lambda v: isinstance(v, dict)),
    "array": ("a list", lambda v: isinstance(v, list)),
    "string": ("a text", lambda v: isinstance(v, str)),
    "number": ("a number", lambda v: isinstance(v, int | float) and not isinstance(v, bool)),
    # 3.0 is a whole number in JSON Schema.
    "integer": ("a whole number", lambda v: not isinstance(v, bool) and isinstance(v, int | float) and v == int(v)),
    "boolean": ("true or false", lambda v: isinstance(v, bool)),
    "null": ("null", lambda v: v is None),
}


@cache
def model_schema() -> dict:
    """The schema of ``model.json``."""
    return json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def problems(value: Any, schema: dict, root: dict, where: str = "") -> Iterator[str]:
    """What is wrong with a value, from the outside in; nothing if it fits.

    Args:
        value: What ``json.loads`` gave; numbers must be finite.
        schema: The schema, or a part of it.
        root: The whole schema, in which ``$ref`` points.
        where: Path of the value, such as ``"stages[0].window"``.

    Yields:
        Parts of a sentence, such as ``"stages[0].window has 2 entries and needs 3"``.
    """
    if "$ref" in schema:
        yield from problems(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, where)
    name = where or "the document"
    if "type" in schema:
        wanted = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(_TYPES[t][1](value) for t in wanted):
            yield f"{name} is not {' or '.join(_TYPES[t][0] for t in wanted)}"
            return
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{name} is not {schema['const']!r}"
    if "enum" in schema and not any(_same(value, known) for known in schema["enum"]):
        yield f"{name} is none of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        yield from _text_problems(value, schema, name)
    elif _TYPES["number"][1](value):
        yield from _number_problems(value, schema, name)
    elif isinstance(value, list):
        yield from _list_problems(value, schema, root, where, name)
    elif isinstance(value, dict):
        yield from _object_problems(value, schema, root, where, name)
    if "if" in schema:
        branch = "else" if any(problems(value, schema["if"], root)) else "then"
        yield from problems(value, schema[branch], root, where)


def _same(a: Any, b: Any) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _text_problems(value: str, schema: dict, name: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{name} is empty"
    if len(value) > schema.get("maxLength", len(value)):
        yield f"{name} is longer than {schema['maxLength']} characters"
    # Descriptions beside a pattern complete "must be ...". All patterns stand between ^ and $; unlike search,
    # fullmatch lets no line break slip in before the $.
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        yield f"{name} must be {schema.get('description', schema['pattern'])}"


def _number_problems(value: float, schema: dict, name: str) -> Iterator[str]:
    if value < schema.get("minimum", value):
        yield f"{name} is below {schema['minimum']}"
    if value > schema.get("maximum", value):
        yield f"{name} is above {schema['maximum']}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield f"{name} is not above {schema['exclusiveMinimum']}"


def _list_problems(value: list, schema: dict, root: dict, where: str, name: str) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield f"{name} has {len(value)} entries and needs {schema['minItems']}"
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{name} has {len(value)} entries and may have {schema['maxItems']}"
    if schema.get("uniqueItems") and any(_same(a, b) for i, a in enumerate(value) for b in value[:i]):
        yield f"{name} has an entry twice"
    for i, item in enumerate(value if "items" in schema else ()):
        yield from problems(item, schema["items"], root, f"{where}[{i}]")


def _object_problems(value: dict, schema: dict, root: dict, where: str, name: str) -> Iterator[str]:
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{name} lacks '{key}'"
    known = schema.get("properties", {})
    rest = schema.get("additionalProperties", True)
    for key, item in value.items():
        if key not in known and rest is False:
            yield f"{name} has the unknown entry '{key}'"
        elif key in known or rest is not True:
            yield from problems(item, known.get(key, rest), root, f"{where}.{key}" if where else key)
