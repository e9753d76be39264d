"""Does the same patient get the same organ, however the scan was stored?

    python Testing/benchmarks/robustness.py ../shared/data/chaos_eval_ct.nii.gz ../shared/data/lctsc_s1-104_ct.nii.gz

Each scan is given as it is, in 8 flips and permutations, on a grid turned by 17 degrees (around it air or, as Slicer's
resampling has it, 0), and with a spacing of (0.7, 0.9, 5) mm. Results are brought to the scan's own grid in physical
space (linear, inside where at least half; the nearest voxel would by itself cost up to a point of Dice on grids of
2.5 mm); Dice against the result of the scan as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from Med3DCore.inference.segment import segment
from Med3DCore.io import read_volume
from Med3DCore.volume import LabelMap, Volume

FLIPS = (
    ((0, 1, 2), (True, False, False)),
    ((0, 1, 2), (False, True, True)),
    ((0, 1, 2), (True, True, True)),
    ((1, 0, 2), (False, False, False)),
    ((2, 1, 0), (False, True, False)),
    ((0, 2, 1), (True, False, True)),
    ((1, 2, 0), (False, False, True)),
    ((2, 0, 1), (True, True, False)),
)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--model", help="name or file of a model (default: the shipped one)")
    arguments = parser.parse_args()
    worst: dict[str, float] = {}
    for path in arguments.scans:
        volume = read_volume(path)
        whole = segment(volume, ["liver", "lungs"], arguments.model).labels
        present = [label.name for label in whole.labels if whole.volume_ml(label.name) > 50]
        for kind, changed in variants(volume):
            result = segment(changed, ["liver", "lungs"], arguments.model, not_ct=True).labels
            scores = {name: dice(mapped(result, name, whole), whole.mask(name)) for name in present}
            worst[kind] = min(worst.get(kind, 1.0), *scores.values())
            print(path.name, kind, {name: round(value, 4) for name, value in scores.items()}, flush=True)
    print("worst:", {kind: round(value, 4) for kind, value in worst.items()})


def variants(volume: Volume) -> Iterator[tuple[str, Volume]]:
    """The same patient on other grids, each with what kind of change it is."""
    image = volume.to_sitk()
    for order, flips in FLIPS:
        yield "stored otherwise", Volume.from_sitk(sitk.Flip(sitk.PermuteAxes(image, order), flips), volume.name)
    yield "oblique 17 degrees", on_grid(volume, volume.spacing, turn=(8.5, 17.0))
    yield "oblique, padded with 0", on_grid(volume, volume.spacing, turn=(8.5, 17.0), padding=0.0)
    yield "0.7 x 0.9 x 5 mm", on_grid(volume, (0.7, 0.9, 5.0))


def on_grid(
    volume: Volume,
    spacing: tuple[float, float, float],
    turn: tuple[float, float] = (0.0, 0.0),
    padding: float | None = None,
) -> Volume:
    """The volume on a grid of another spacing, turned by some degrees around x and z, that covers all of it.

    Thick slices are averages over the slice, as a scanner makes them. Around the volume there is air, or ``padding``.
    """
    turned = sitk.Euler3DTransform((0.0, 0.0, 0.0), np.deg2rad(turn[0]), 0.0, np.deg2rad(turn[1]))
    direction = np.asarray(turned.GetMatrix()).reshape(3, 3)
    low, high = volume.geometry.bounds()
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (high - low) + low
    own = corners @ direction
    size = np.ceil((own.max(axis=0) - own.min(axis=0)) / spacing).astype(int)
    origin = direction @ (own.min(axis=0) + np.asarray(spacing) / 2)
    image = sitk.Cast(volume.to_sitk(), sitk.sitkFloat32)
    if spacing[2] > 1.5 * volume.spacing[2]:
        image = sitk.RecursiveGaussian(image, spacing[2] / 2.355, False, 0, 2)
    grid = sitk.Image([int(n) for n in size], sitk.sitkInt16)
    grid.SetSpacing(spacing)
    grid.SetOrigin([float(v) for v in origin])
    grid.SetDirection(direction.ravel())
    outside = float(volume.array.min()) if padding is None else padding
    moved = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, outside, sitk.sitkInt16)
    return Volume.from_sitk(moved, volume.name)


def mapped(labels: LabelMap, name: str, reference: LabelMap) -> np.ndarray:
    """A label's mask on the grid of another label map."""
    mask = sitk.Cast(labels.to_sitk() == labels.value(name), sitk.sitkFloat32)
    moved = sitk.Resample(mask, reference.to_sitk(), sitk.Transform(), sitk.sitkLinear, 0.0)
    return sitk.GetArrayFromImage(moved) > 0.5


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice of two masks."""
    return 2 * int((a & b).sum()) / max(1, int(a.sum() + b.sum()))


if __name__ == "__main__":
    main()
