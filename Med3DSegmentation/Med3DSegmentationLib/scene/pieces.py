"""Work in pieces, between which the window may breathe."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

_Value = TypeVar("_Value")
Pieces: TypeAlias = Generator[str | None, None, _Value]
"""Yields what comes next, in words for people, or None for more of the same; its end is the value."""


def atOnce(pieces: Pieces[_Value]) -> _Value:
    """The value of work in pieces, for who waits for it."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return end.value
