"""Where does a liver's border lie beside fat, and where do the values say that it should?

    python Testing/benchmarks/border_place.py runs/data/dataset.json ../shared/data/crlm_1004_ct.nii.gz

A scan says by itself where the liver ends beside fat: half way between both values. Along normals of the mask's surface
this prints how far outside of the mask's border that lies (mm, median and number of places; negative: the mask is too
large), of people's outlines in training cases and of a model's result in those and in other scans. Beside other soft
tissue, where most of what is too much lies, values do not tell.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage
from sick_scans import outlined

from Med3DCore.inference.segment import segment
from Med3DCore.io import read_volume
from Med3DCore.volume import Volume

# Places along a normal, in mm from the border, and what counts as fat and as liver there.
_ALONG = np.arange(-6.0, 9.01, 0.5)
_FAT_HU = (-140.0, -60.0)
_ALIKE_HU = 25.0
_PLACES = 20_000


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="data set description, as prepare_data.py writes it")
    parser.add_argument("scans", type=Path, nargs="*", help="other scans of livers")
    parser.add_argument("--model", help="name or file of a model (default: the shipped one)")
    arguments = parser.parse_args()
    scans = [(scan.volume, scan.truth) for scan in outlined(arguments.data, "training", None)]
    for volume, truth in [*scans, *((read_volume(path), None) for path in arguments.scans)]:
        found = segment(volume, ["liver"], arguments.model).labels.mask("liver")
        told = [f"model {_told(volume, found)}"] + ([] if truth is None else [f"person {_told(volume, truth)}"])
        print(f"{volume.name:24} {', '.join(told)}", flush=True)


def _told(volume: Volume, inside: np.ndarray) -> str:
    outside = border_offsets(volume, inside)
    return f"{np.median(outside):+.2f} mm (n = {len(outside)})"


def border_offsets(volume: Volume, inside: np.ndarray) -> np.ndarray:
    """How far outside of a mask's border the values are half way between the organ and fat, in mm.

    Args:
        volume: The scan, in HU, stored along the patient's axes.
        inside: bool ``[z, y, x]``.

    Returns:
        One number for each place where there is organ inside and fat outside.
    """
    values, voxel = np.clip(volume.array, -160, 240).astype(np.float32), np.array(volume.spacing[::-1])
    organ = np.median(values[ndimage.binary_erosion(inside, iterations=3)])
    soft = inside.astype(np.float32)
    slope = np.stack(np.gradient(ndimage.gaussian_filter(soft, 1.5), *voxel))
    places = np.argwhere(inside & ~ndimage.binary_erosion(inside))
    places = places[np.random.default_rng(0).permutation(len(places))[:_PLACES]]
    normals = -slope[:, *places.T].T
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    points = (places[:, None] + _ALONG[:, None] * normals[:, None] / voxel).transpose(2, 0, 1)
    seen, mask = (ndimage.map_coordinates(array, points, order=1) for array in (values, soft))
    fat = seen[:, _ALONG >= 0].min(axis=1)
    is_fat = (_FAT_HU[0] < fat) & (fat < _FAT_HU[1])
    chosen = is_fat & (np.abs(seen[:, _ALONG <= -4].mean(axis=1) - organ) < _ALIKE_HU)
    seen, mask, half = seen[chosen], mask[chosen], (organ + fat[chosen]) / 2
    return _crossing(seen, half) - _crossing(mask, np.full(len(mask), 0.5))


def _crossing(along: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Where each row first falls below its level, in mm."""
    after = np.clip((along < level[:, None]).argmax(axis=1), 1, None)
    rows = np.arange(len(along))
    high, low = along[rows, after - 1], along[rows, after]
    step = _ALONG[1] - _ALONG[0]
    return _ALONG[after - 1] + step * np.clip((high - level) / np.where(high == low, 1, high - low), 0, 1)


if __name__ == "__main__":
    main()
