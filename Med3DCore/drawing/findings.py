"""Draw what a detector found: a slice for each of the surest boxes. Needs matplotlib (the ``cli`` extra)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.drawing.figure import drawn
from Med3DCore.drawing.picture import slice_grid
from Med3DCore.geometry import Triple
from Med3DCore.preprocessing import resample
from Med3DCore.volume import Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 12
_COLUMNS = 4
_SOFT_HU, _LUNG_HU = (-160.0, 240.0), (-1350.0, 150.0)
_COLOUR = "#ffb000"

Found = tuple[float, Triple, Triple, float]
"""Score, lowest and highest LPS mm of the box, LPS z of the slice where it is surest."""


def write_findings(volume: Volume, findings: Sequence[Found], path: Path, pixel_mm: float = 1.0) -> None:
    """Write a PNG with up to twelve boxes, each in the slice where it is surest; of none, the middle slice.

    Args:
        volume: The scan.
        findings: Surest first.
        path: The PNG, written beside and renamed.
        pixel_mm: Size of a pixel.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: The picture cannot be written.
    """
    shown = findings[:_MOST]
    columns = max(1, min(_COLUMNS, len(shown)))
    rows = max(1, math.ceil(len(shown) / columns))
    with drawn(path, (3.4 * columns, 3.2 * rows), facecolor="black") as figure:
        places: list[Axes] = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
        for axes in places:
            axes.set_axis_off()
        middle = float(np.mean([bound[2] for bound in volume.geometry.bounds()]))
        for number, axes in enumerate(places[: max(1, len(shown))], start=1):
            found = shown[number - 1] if shown else None
            _draw(axes, volume, found, middle, pixel_mm)
            title = f"{number}: {found[0]:.2f}" if found else "nothing was found"
            axes.set_title(title, color="white", fontsize=10)


def _draw(axes: Axes, volume: Volume, found: Found | None, z: float, pixel_mm: float) -> None:
    from matplotlib.patches import Rectangle

    if found is not None:
        z = found[3]
    grid = slice_grid(volume.geometry, 0, np.array([0.0, 0.0, z]), pixel_mm)
    image = np.squeeze(resample(volume.array, volume.geometry, grid, (-1350.0, 1000.0), -1024.0), 0)
    if found is None:
        axes.imshow(image, cmap="gray", vmin=_SOFT_HU[0], vmax=_SOFT_HU[1])
        return
    _, low, high, _ = found
    corners = [[(end[i] - grid.origin[i]) / pixel_mm for i in (0, 1)] for end in (low, high)]
    (x1, y1), (x2, y2) = corners
    around = image[max(0, int(y1)) : int(y2) + 1, max(0, int(x1)) : int(x2) + 1]
    window = _LUNG_HU if around.size and np.median(around) < -400 else _SOFT_HU
    axes.imshow(image, cmap="gray", vmin=window[0], vmax=window[1])
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=_COLOUR, linewidth=1.2))
