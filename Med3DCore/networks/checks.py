"""Checks of the settings that a network's description gives."""

from __future__ import annotations

from collections.abc import Iterable

from Med3DCore.errors import SettingError


def check_choice(setting: str, value: object, choices: Iterable) -> None:
    """Raise SettingError unless ``value`` is one of ``choices`` and of the same type."""
    choices = list(choices)
    if not any(type(value) is type(c) and value == c for c in choices):
        raise SettingError(f"{setting} is {value!r}; it must be one of: {', '.join(map(str, choices))}.")


def check_count(setting: str, value: object) -> None:
    """Raise SettingError unless ``value`` is a whole number of at least 1."""
    if type(value) is not int or value < 1:
        raise SettingError(f"{setting} is {value!r}; it must be a whole number of at least 1.")


def check_counts(setting: str, values: object, length: int | None = None) -> None:
    """Raise SettingError unless ``values`` is a list or tuple of ``length`` (if given) whole numbers of at least 1."""
    listed = list(values) if isinstance(values, list | tuple) else []
    if not listed or len(listed) != (length or len(listed)) or any(type(v) is not int or v < 1 for v in listed):
        how_many = "" if length is None else f"{length} "
        raise SettingError(f"{setting} is {values!r}; it must be a list of {how_many}whole numbers of at least 1.")
