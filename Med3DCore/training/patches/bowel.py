"""Bowel full of bright contrast medium, painted into patches: next to a kidney it is as bright and as round as one.

Drunk contrast medium has 100 to 500 HU, an organ with contrast in its blood 100 to 250. A network that saw only grey
bowel takes the bright one for the organ it touches. Amounts are in HU for CT; shapes and sizes are ours, no copy of a
published method.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from Med3DCore.geometry import Triple
from Med3DCore.training.patches.disease import bumps

MOST_LOOPS = 4
RADIUS_MM = (7.0, 20.0)
MEDIUM_HU = (100.0, 500.0)
_WALL_MM, _WALL_HU = 2.5, (20.0, 90.0)
_AWAY_MM = (0.0, 50.0)  # of a loop's beginning from a voxel of the organ
_BESIDE = 0.7  # part of the loops that begin beside an organ, if one is seen
_STEPS, _STEP_MM, _TURN = (2, 6), 18.0, 0.8  # of the walk along its middle
_UPRIGHT = np.array((2.0, 1.0, 1.0))  # colon beside the kidneys goes up and down more than across
_POINT_MM = 3.0  # between two points of that line
_ROUGH = 0.25  # how much the radius goes in and out, part of it
_UNEVEN = 0.25  # how much the medium differs from place to place, part of its brightness
_NOISE_HU = 12.0
_PAINTED_HU = (-200.0, 150.0)  # neither bone nor lung becomes bowel
_PAINTED_BONE_HU = 500.0  # denser is no kidney, however bright
_FAT_HU = (-115.0, -80.0)
_POLE_MM = (15.0, 35.0)  # radius of what an organ ends with


def paint_bowel(
    image: np.ndarray, organs: np.ndarray, beside: np.ndarray, spacing: Triple, rng: np.random.Generator
) -> None:
    """Paint one to a few loops of bowel full of contrast medium, in place; what is an organ does not change.

    Args:
        image: float32 ``[z, y, x]``, in HU.
        organs: bool of the same shape, voxels of any label; may be empty.
        beside: bool of the same shape, about which most loops begin: the organs, or what they were.
        spacing: Size (x, y, z) of a voxel in mm.
        rng: Source of randomness.
    """
    mm = np.asarray(spacing[::-1])
    low, high = _PAINTED_HU
    room = ~organs & (image > low) & (image < high)
    places = np.argwhere(beside)
    medium = np.exp(rng.uniform(*np.log(MEDIUM_HU)))
    for _ in range(rng.integers(1, MOST_LOOPS + 1)):
        if len(places) and rng.random() < _BESIDE:
            start = places[rng.integers(len(places))] * mm + _direction(rng) * rng.uniform(*_AWAY_MM)
        else:
            start = rng.uniform(0, 1, 3) * image.shape * mm
        _paint_loop(image, room, _walk(start, rng), mm, float(medium * rng.uniform(0.8, 1.2)), rng)


def end_organ(image: np.ndarray, organ: np.ndarray, spacing: Triple, rng: np.random.Generator) -> np.ndarray:
    """Take the lower part of an organ away: a rounded pole is left, and fat is in its place, in place.

    Scans of livers end in the middle of kidneys. A network that learned from them alone has not seen what lies below.

    Args:
        image: float32 ``[z, y, x]``, in HU; z goes up.
        organ: bool of the same shape, with a voxel at least.
        spacing: Size (x, y, z) of a voxel in mm.
        rng: Source of randomness.

    Returns:
        bool of the same shape: what is left of the organ.
    """
    mm = np.asarray(spacing[::-1])
    heights = np.flatnonzero(organ.any(axis=(1, 2)))
    end = int(rng.uniform(heights[0], heights[-1] + 1))
    middle = np.argwhere(organ[end] if organ[end].any() else organ.any(axis=0)).mean(axis=0)
    z, y, x = (axis * size for axis, size in zip(np.ogrid[tuple(map(slice, organ.shape))], mm, strict=True))
    aside = (y - middle[0] * mm[1]) ** 2 + (x - middle[1] * mm[2]) ** 2
    gone = organ & (z < end * mm[0] + aside / (2 * rng.uniform(*_POLE_MM)))
    fat = rng.uniform(*_FAT_HU) + rng.uniform(0, _NOISE_HU) * rng.standard_normal(image.shape)
    left = organ & ~gone
    share = ndimage.gaussian_filter(ndimage.binary_dilation(gone).astype(np.float32), 0.6, truncate=3.0)
    image += (share * ~left * (image < _PAINTED_BONE_HU) * (fat - image)).astype(np.float32)
    return left


def _paint_loop(
    image: np.ndarray, room: np.ndarray, line: np.ndarray, mm: np.ndarray, medium: float, rng: np.random.Generator
) -> None:
    """Wall and content around a line ``[n, 3]`` in mm, in the box that holds them."""
    radius = rng.uniform(*RADIUS_MM)
    reach = radius * (1 + _ROUGH) + 2 * _WALL_MM
    first = np.maximum(((line.min(axis=0) - reach) / mm).astype(int), 0)
    last = np.minimum(((line.max(axis=0) + reach) / mm).astype(int) + 1, image.shape)
    if (last <= first).any():
        return
    box = tuple(map(slice, first, last))
    away = np.ones(last - first, bool)
    points = np.round(line / mm).astype(int) - first
    away[tuple(points[((points >= 0) & (points < away.shape)).all(axis=1)].T)] = False
    if away.all():
        return
    distance = ndimage.distance_transform_edt(away, sampling=mm)
    distance += _ROUGH * radius * bumps(away.shape, radius / mm, rng)
    content = medium * (1 + _UNEVEN * bumps(away.shape, radius / mm, rng))
    content += rng.uniform(0, _NOISE_HU) * rng.standard_normal(away.shape)
    for value, inside in ((rng.uniform(*_WALL_HU), distance < radius + _WALL_MM), (content, distance < radius)):
        share = ndimage.gaussian_filter(inside.astype(np.float32), 0.6, truncate=3.0) * room[box]
        image[box] += (share * (value - image[box])).astype(np.float32)


def _walk(start: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points ``[n, 3]`` in mm along a random course."""
    nodes, heading = [start], _UPRIGHT * _direction(rng)
    for _ in range(rng.integers(*_STEPS)):
        heading = heading + _TURN * _UPRIGHT * _direction(rng)
        nodes.append(nodes[-1] + _STEP_MM * heading / np.linalg.norm(heading))
    parts = np.arange(0, 1, _POINT_MM / _STEP_MM)[:, None]
    return np.concatenate([a + parts * (b - a) for a, b in pairwise(nodes)])


def _direction(rng: np.random.Generator) -> np.ndarray:
    direction = rng.standard_normal(3)
    return direction / np.linalg.norm(direction)
