"""Draw a class activation map over its scan: the three slices through its peak. Needs matplotlib (extra ``cli``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from Med3DCore.drawing.figure import drawn
from Med3DCore.drawing.picture import VIEWS, slice_grid
from Med3DCore.preprocessing import resample
from Med3DCore.volume import Volume

_OPAQUE = 0.55  # of the map at its peak
_FROM = 0.25  # part of the peak from which on the map is seen


def write_class_map(
    volume: Volume, evidence: Volume, window: tuple[float, float], title: str, path: Path, pixel_mm: float = 1.0
) -> None:
    """Write a PNG: above the scan, below the scan with what speaks for the class, and a cross at the peak.

    Args:
        volume: The scan.
        evidence: The map, on any grid; what is 0 or less is not shown.
        window: Lowest and highest value of the scan that is seen.
        title: What stands above.
        path: The PNG, written beside and renamed.
        pixel_mm: Size of a pixel.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: The picture cannot be written.
    """
    place, peak = peak_of(evidence), float(evidence.array.max())
    with drawn(path, (12, 8), dpi=90, facecolor="black") as figure:
        shown = None
        for column, (name, axis) in enumerate(VIEWS):
            grid = slice_grid(volume.geometry, axis, place, pixel_mm)
            flip = slice(None, None, -1) if axis else slice(None)
            image = np.squeeze(resample(volume.array, volume.geometry, grid, window, window[0]), axis)[flip]
            heat = np.squeeze(resample(evidence.array, evidence.geometry, grid), axis)[flip]
            for row in range(2):
                axes = figure.add_subplot(2, 3, 3 * row + column + 1)
                axes.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], interpolation="bilinear")
                axes.set_axis_off()
                if row == 0:
                    axes.set_title(name, color="white", fontsize=10)
                elif peak > 0:
                    strength = np.clip(heat / peak, 0, 1)
                    alpha = _OPAQUE * np.clip((strength - _FROM) / (1 - _FROM), 0, 1) ** 0.5
                    shown = axes.imshow(strength * peak, cmap="inferno", vmin=0, vmax=peak, alpha=alpha)
                    x, y = ((place[i] - grid.origin[i]) / pixel_mm for i in range(3) if i != 2 - axis)
                    axes.plot(x, y if axis == 0 else len(image) - 1 - y, "+", color="#40ffff", markersize=9)
        if shown is not None:
            bar = figure.colorbar(shown, ax=figure.axes, shrink=0.4, label="added to the logit")
            bar.ax.tick_params(colors="white")
            bar.set_label("added to the logit", color="white")
        figure.suptitle(title, color="white", fontsize=11)


def peak_of(evidence: Volume) -> np.ndarray:
    """Where a map is highest, LPS mm."""
    index = np.unravel_index(int(evidence.array.argmax()), evidence.array.shape)[::-1]
    return (evidence.geometry.index_to_physical @ [*map(float, index), 1.0])[:3]
