"""Colours of texts that can be read on the background that they stand on, in light and dark themes."""

from __future__ import annotations

from typing import Any

import qt

RGB = tuple[int, int, int]
READABLE = 4.5  # contrast of text, WCAG 2.1, success criterion 1.4.3
GOOD: tuple[RGB, RGB] = ((0, 110, 60), (95, 215, 140))  # on light, on dark
BAD: tuple[RGB, RGB] = ((178, 34, 34), (255, 135, 125))


def textColour(pair: tuple[RGB, RGB], widget: Any) -> Any:
    """The one of two colours that stands out more from a table's or list's background, as a QColor."""
    base = widget.palette.color(qt.QPalette.Base)
    background = (base.red(), base.green(), base.blue())
    return qt.QColor(*max(pair, key=lambda colour: contrast(colour, background)))


def contrast(one: RGB, other: RGB) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG 2.1 defines it."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: RGB) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
