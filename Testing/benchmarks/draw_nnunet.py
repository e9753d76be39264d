"""The README's picture of what ``bench_nnunet.py`` measured: processor time and peak memory, each turn a point.

    python Testing/benchmarks/draw_nnunet.py [Testing/benchmarks/nnunet_figures.json] [docs/images/nnunet.png]

The first file has what ``bench_nnunet.py --record`` wrote for some shapes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median

from bench_segment import ROOT

from Med3DCore.drawing.figure import drawn

COLOURS = {"nnU-Net": "0.6", "med3d": "tab:blue", "med3d --fast": "tab:cyan"}
PANELS = {
    "cpu_seconds": ("processor time, s", 1.0),
    "peak_mb": ("peak of memory, GiB", 1 / 1024),
}
FIGURES, PICTURE = ROOT / "Testing" / "benchmarks" / "nnunet_figures.json", ROOT / "docs" / "images" / "nnunet.png"


def main(figures: Path = FIGURES, picture: Path = PICTURE) -> None:
    """Read and draw."""
    shapes = json.loads(Path(figures).read_text())
    with drawn(Path(picture), (8.4, 0.5 + 0.9 * len(shapes)), dpi=110) as figure:
        places = figure.subplots(1, len(PANELS), sharey=True)
        for place, (key, (title, unit)) in zip(places, PANELS.items(), strict=True):
            for row, sides in enumerate(shapes.values()):
                for number, (side, runs) in enumerate(sides.items()):
                    draw_bar(place, row + 0.27 * (number - 1), side, [run[key] * unit for run in runs])
            place.set_xlabel(title, fontsize=9)
            place.set_yticks(range(len(shapes)), [titled(name) for name in shapes], fontsize=9)
            place.spines[["top", "right"]].set_visible(False)
            place.margins(x=0.12)
        places[0].invert_yaxis()
        names = {bar.get_label(): bar for bar in places[0].containers}
        figure.legend(names.values(), names, loc="outside upper right", ncols=3, frameon=False, fontsize=9)


def draw_bar(place, height: float, side: str, values: list[float]) -> None:
    """The median as a bar with its number, and every turn."""
    middle = median(values)
    place.barh(height, middle, 0.24, color=COLOURS[side], label=side)
    place.plot(values, [height] * len(values), ".", color="0.2", markersize=3)
    place.text(max(values), height, f" {middle:.3g}", va="center", fontsize=8)


def titled(name: str) -> str:
    """Such as ``118-3-256x150``, for people."""
    classes, spacing, scan = name.split("-")
    size, slices = scan.split("x")
    return f"{classes} classes, {spacing} mm\n{size} x {size} x {slices} voxels"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
