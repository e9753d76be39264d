"""From a request's JSON to a dataclass, with a sentence for whatever does not fit."""

from __future__ import annotations

import reprlib
from dataclasses import MISSING, fields
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from Med3DCore.worker.protocol import ProtocolError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def read_fields(kind: type[T], values: dict[str, Any], request: str) -> T:
    """Check values and put them into a dataclass.

    Args:
        kind: The dataclass; its annotations may be str, bool, int, float, dict, list[...] and X | None.
        values: Field name to value.
        request: Type of the request, for messages.

    Raises:
        ProtocolError: A field is missing, unknown or of another type.
    """
    hints = get_type_hints(kind)
    for name in values:
        if name not in hints:
            known = f"its fields are {', '.join(hints)}" if hints else "it has none"
            raise ProtocolError(f"The request '{request}' has no field '{name}'; {known}.")
    for field in fields(kind):
        if field.name in values:
            if not _fits(values[field.name], hints[field.name]):
                raise ProtocolError(
                    f"The field '{field.name}' of the request '{request}' must be {field.type},"
                    f" not {reprlib.repr(values[field.name])}."
                )
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ProtocolError(f"The request '{request}' lacks its field '{field.name}'.")
    return kind(**values)


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is UnionType:
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(item, get_args(hint)[0]) for item in value)
    if hint is float:
        hint = int | float
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
