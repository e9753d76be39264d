"""Checks of settings that come from a file or command line, where any value may stand; each wrong one is named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from Med3DCore.errors import SettingError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def require(owner: object, name: str, holds: bool, what: str) -> None:
    """Refuse a setting.

    Args:
        owner: A dataclass of settings.
        name: The setting.
        holds: Whether it makes sense.
        what: What it must be.

    Raises:
        SettingError: It makes no sense.
    """
    if not holds:
        raise SettingError(f"The training's setting '{name}' is {getattr(owner, name)!r}; it must be {what}.")


def require_kinds(owner: DataclassInstance) -> None:
    """Refuse settings that are not of the kind of their default: of a recipe, ``"15"`` is no number.

    Raises:
        SettingError: One is of another kind, or a number that is not finite.
    """
    for item in fields(owner):
        kind, value = type(item.default), getattr(owner, item.name)
        if kind is float:
            holds = type(value) is int or (isinstance(value, float) and math.isfinite(value))
        else:
            holds = kind not in _KINDS or type(value) is kind
        require(owner, item.name, holds, _KINDS.get(kind, ""))


def require_ranges(owner: object, names: Sequence[str], lowest: float, highest: float = math.inf) -> None:
    """Refuse numbers that are too low or too high.

    Args:
        owner: A dataclass of settings.
        names: The settings.
        lowest: The lowest value that makes sense.
        highest: The highest one.

    Raises:
        SettingError: One is too low or too high.
    """
    what = f"{lowest:g} or more" if highest == math.inf else f"from {lowest:g} to {highest:g}"
    for name in names:
        require(owner, name, lowest <= getattr(owner, name) <= highest, what)
