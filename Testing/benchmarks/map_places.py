"""Does a class activation map peak where the thing was painted? Phantoms that the model never saw, with exact masks.

    python Testing/benchmarks/map_places.py MODEL emphysema|uterus [SCANS]

Prints, for each scan, how far the peak lies from the nearest voxel of what was painted, and which part of the map's
positive sum lies within one voxel of the map of it, beside the part that a map without knowledge would have there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from Med3DCore.drawing.class_map import peak_of
from Med3DCore.inference.classify_scan import ScanClassifier
from Med3DCore.inference.device import choose_device
from Med3DCore.models.package_file import load_package
from Med3DCore.phantom.chest_findings import FINDINGS
from Med3DCore.phantom.layouts.ct_rate import EMPHYSEMA, make_chest
from Med3DCore.phantom.uterus import ANOMALIES, make_uterus
from Med3DCore.volume import Volume

SEED = 990_000


def scans(kind: str, count: int) -> Iterator[tuple[str, Volume, np.ndarray]]:
    """Label, scan and where it was painted."""
    for number in range(count):
        rng = np.random.default_rng([SEED, number])
        if kind == "emphysema":
            chances = dict.fromkeys(FINDINGS, 0.1) | {EMPHYSEMA: 1.0}
            volume, shown, _ = make_chest(SEED + number, chances, rng)
            yield EMPHYSEMA, volume, shown[EMPHYSEMA]
        else:
            name = list(ANOMALIES)[1 + number % (len(ANOMALIES) - 1)]
            yield name, *make_uterus(name, rng)


def main(model: Path, kind: str, count: int = 12) -> None:
    classifier = ScanClassifier(load_package(model), choose_device("cpu"))
    distances, gains = [], []
    for label, volume, painted in scans(kind, count):
        answer = classifier.classify(volume)
        evidence = Volume(answer.map_on(label, volume.geometry), volume.geometry)
        steps = volume.geometry.spacing[::-1]
        away = ndimage.distance_transform_edt(~painted, steps)
        matrix = np.linalg.inv(volume.geometry.index_to_physical)
        peak = np.rint((matrix @ [*peak_of(evidence), 1.0])[:3]).astype(int)
        distances.append(float(away[tuple(peak[::-1])]))
        near = away <= max(answer.geometry.spacing) / 2
        positive = np.maximum(evidence.array, 0)
        share, chance = float(positive[near].sum() / max(positive.sum(), 1e-9)), float(near.mean())
        gains.append(share / chance)
        print(
            f"{label}: {answer.probabilities[label]:.2f}, peak {distances[-1]:.0f} mm away, {share:.0%} of the map "
            f"near it, which is {chance:.0%} of the scan",
            flush=True,
        )
    within = np.mean(np.array(distances) <= max(answer.geometry.spacing) / 2)
    print(
        f"peak within half a voxel of the map: {within:.0%} of {count}; the map is {np.median(gains):.1f} times denser"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
