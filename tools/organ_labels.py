"""Labels of spleen and kidneys, drawn with thresholds, boxes, seeds and cuts that ``organ_drawings.json`` keeps.

    python tools/organ_labels.py ../shared/data runs/organs

writes ``<case>_label.nii.gz`` for every drawn case: 1 spleen, 2 left kidney, 3 right kidney, 254 unsure. Kidneys are
parenchyma: fat, vessels and pelvis of the sinus are left out where they are more than half a square centimetre of a
slice, and so are cysts that bulge out.

Coordinates are voxels ``[x, y, z]`` of the scan turned to LPS: x from the patient's right, y from the front, z from the
feet. How an organ is drawn, by its keys: ``box`` (x, x, y, y, z, z) holds all of it; its core are the voxels in ``hu``
that survive an ``open``-ing and hang together with a seed; what lies within ``grow`` voxels of the nearest core, and in
``rim``, is added. ``cuts`` (z, z, polygon) and ``lines`` (z, line: what lies in front of it; between slices in between)
take neighbours of the same brightness away. Organs that are only drawn to compete, such as the liver, are not written.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from liver_labels import UNSURE
from matplotlib.path import Path as Outline
from scipy import ndimage

ORGANS = ("spleen", "left_kidney", "right_kidney")
DRAWINGS = Path(__file__).with_name("organ_drawings.json")

# Blood vessels and fat of a sinus smaller than so many voxels of a slice stay in the kidney.
_SMALL_HOLE = 8
# Scans end in the middle of organs, which must not be worn away there.
_PAD = 5
# Voxels of an unsure box that are no fat may be the organ.
_NO_FAT_HU = -30

Drawing = dict[str, Any]


def draw(hu: np.ndarray, organs: dict[str, Drawing]) -> np.ndarray:
    """The label of a case.

    Args:
        hu: The scan ``[z, y, x]``, turned to LPS.
        organs: How each organ is drawn, those that only compete included.

    Returns:
        uint8 ``[z, y, x]``: 0, or the place of an organ in :data:`ORGANS` counted from 1.
    """
    cores = [_core(hu, drawing) for drawing in organs.values()]
    far = np.stack([ndimage.distance_transform_edt(~core) for core in cores])
    nearest = far.argmin(axis=0)
    label = np.zeros(hu.shape, np.uint8)
    for value, organ in enumerate(ORGANS, start=1):
        if organ in organs:
            drawing, place = organs[organ], list(organs).index(organ)
            smooth, (low, high) = _smooth(hu, drawing), drawing["rim"]
            near = (nearest == place) & (far[place] <= drawing.get("grow", 1.5)) & (smooth >= low) & (smooth <= high)
            mask = (near | cores[place]) & _box(hu.shape, drawing) & ~_cut(hu.shape, drawing)
            mask = ndimage.median_filter(largest(mask).astype(np.uint8), 3, mode="nearest") > 0
            label[_fill_small_holes(mask) & (label == 0)] = value
    return label


def _core(hu: np.ndarray, drawing: Drawing) -> np.ndarray:
    """What surely is the organ."""
    smooth, (low, high) = _smooth(hu, drawing), drawing["hu"]
    inside = np.pad(
        (smooth >= low) & (smooth <= high) & _box(hu.shape, drawing) & ~_cut(hu.shape, drawing), _PAD, mode="edge"
    )
    opening = _ball(drawing.get("open", 1.5))
    pieces, _ = ndimage.label(ndimage.binary_erosion(inside, opening))
    place = ndimage.distance_transform_edt(pieces == 0, return_distances=False, return_indices=True)
    seeds = {pieces[tuple(place[:, z + _PAD, y + _PAD, x + _PAD])] for x, y, z in drawing["seeds"]}
    core = ndimage.binary_dilation(np.isin(pieces, list(seeds)), opening) & inside
    core = core[_PAD:-_PAD, _PAD:-_PAD, _PAD:-_PAD]
    if not drawing.get("close"):
        return core
    closing, padded = _ball(drawing["close"]), np.pad(core, _PAD, mode="edge")
    closed = ndimage.binary_erosion(ndimage.binary_dilation(padded, closing), closing) | padded
    return closed[_PAD:-_PAD, _PAD:-_PAD, _PAD:-_PAD]


def _smooth(hu: np.ndarray, drawing: Drawing) -> np.ndarray:
    return ndimage.gaussian_filter(np.clip(hu, -200, 400).astype(np.float32), drawing.get("smooth", 0.5))


def _box(shape: tuple[int, ...], drawing: Drawing) -> np.ndarray:
    x0, x1, y0, y1, z0, z1 = drawing["box"]
    mask = np.zeros(shape, bool)
    mask[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def _cut(shape: tuple[int, ...], drawing: Drawing) -> np.ndarray:
    """What the cuts and lines of an organ take away."""
    cut = np.zeros(shape, bool)
    y, x = np.mgrid[: shape[1], : shape[2]]
    for first, last, polygon in drawing.get("cuts", ()):
        cut[first : last + 1] |= Outline(polygon).contains_points(np.c_[x.ravel(), y.ravel()]).reshape(x.shape)
    if lines := drawing.get("lines"):
        heights = [z for z, _ in lines]
        fronts = np.array([np.interp(x[0], *np.transpose(line)) for _, line in lines])
        for z in range(heights[0], min(heights[-1] + 1, shape[0])):
            cut[z] |= y < np.array([np.interp(z, heights, front) for front in fronts.T])
    return cut


def _ball(radius: float) -> np.ndarray:
    reach = int(np.ceil(radius))
    return (np.mgrid[-reach : reach + 1, -reach : reach + 1, -reach : reach + 1] ** 2).sum(axis=0) <= radius**2 + 1e-6


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest piece of a mask."""
    pieces, count = ndimage.label(mask)
    return pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:]) if count else mask


def _fill_small_holes(mask: np.ndarray) -> np.ndarray:
    for slice_ in mask:
        holes, _ = ndimage.label(ndimage.binary_fill_holes(slice_) & ~slice_)
        sizes = np.bincount(holes.ravel())
        slice_ |= (holes > 0) & (sizes <= _SMALL_HOLE)[holes]
    return mask


def label_of(ct: sitk.Image, case: Drawing) -> sitk.Image:
    """The label of a case on its scan's own grid, as ``organ_drawings.json`` says."""
    turned = sitk.DICOMOrient(ct, "LPS")
    hu = sitk.GetArrayFromImage(turned)
    label = draw(hu, case["organs"])
    for x0, x1, y0, y1, z0, z1 in case.get("unsure", ()):
        box = np.s_[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1]
        label[box][(label[box] == 0) & (hu[box] > _NO_FAT_HU)] = UNSURE
    image = sitk.GetImageFromArray(label)
    image.CopyInformation(turned)
    return sitk.Resample(image, ct, sitk.Transform(), sitk.sitkNearestNeighbor)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with index.json")
    parser.add_argument("out", type=Path, help="folder for the labels")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    index = json.loads((arguments.data / "index.json").read_text())
    for name, case in json.loads(DRAWINGS.read_text()).items():
        ct = sitk.ReadImage(str(arguments.data / index[name]["ct"]))
        sitk.WriteImage(label_of(ct, case), str(arguments.out / f"{name}_label.nii.gz"))
        print(f"{name}: {', '.join(organ for organ in case['organs'] if organ in ORGANS)}", flush=True)


if __name__ == "__main__":
    main()
