"""Defaults and checks of parameters, as in ``slicer.parameterNodeWrapper``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Default:
    """The value of a parameter that was never set: ``Annotated[int, Default(3)]``."""

    value: object


class WithinRange:
    """Value must lie between two numbers, both included."""

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def allows(self, value) -> bool:
        """Whether the value suits."""
        return self.minimum <= value <= self.maximum


class Minimum(WithinRange):
    """Value must be at least a number."""

    def __init__(self, minimum: float) -> None:
        super().__init__(minimum, float("inf"))


class Maximum(WithinRange):
    """Value must be at most a number."""

    def __init__(self, maximum: float) -> None:
        super().__init__(float("-inf"), maximum)


class Choice:
    """Value must be one of some."""

    def __init__(self, choices) -> None:
        self.choices = choices

    def allows(self, value) -> bool:
        """Whether the value suits."""
        return value in self.choices


class Decimals:
    """Number of decimals that the widget shows."""

    def __init__(self, value: int) -> None:
        self.value = value


class SingleStep:
    """Step of the widget."""

    def __init__(self, value: float) -> None:
        self.value = value


def check(name: str, value: object, kind: type, annotations: tuple, *, optional: bool) -> None:
    """Refuse a value that Slicer would refuse.

    Raises:
        TypeError: It has another type, or is None where that is not allowed.
        ValueError: It is out of range, or not among the choices.
    """
    if value is None and optional:
        return
    if value is None:
        raise ValueError(f"Parameter {name} cannot be None.")
    if not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"Parameter {name} takes {kind.__name__}, not {type(value).__name__}.")
    for annotation in annotations:
        if hasattr(annotation, "allows") and not annotation.allows(value):
            raise ValueError(
                f"Parameter {name} does not take {value!r}: {type(annotation).__name__} {vars(annotation)}."
            )
